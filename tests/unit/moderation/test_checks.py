"""Which checks prompts and results pass, in which order, and what a missing response means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from atelier.errors import PromptRefused, Unavailable
from atelier.moderation.blocklist import SHIPPED
from atelier.moderation.model import Category, OutputWithheld, Picture, Policy, Wording
from atelier.moderation.outputs import OutputCheck
from atelier.moderation.ports import Findings
from atelier.moderation.prompts import PromptCheck

LENIENT = Policy()
STRICT = Policy(frozenset({Category.SEXUAL}), "refuse")
THUMBNAIL = Picture(b"picture", "image/webp")


@dataclass
class Judge:
    """A moderator that returns `finding` for everything; None means no response."""

    finding: frozenset[Category] | None = frozenset()
    asked: list[object] = field(default_factory=list[object])

    def texts(self, texts: Sequence[str], *, seconds_max: float) -> Findings | None:
        self.asked.append(list(texts))
        return None if self.finding is None else tuple(self.finding for _ in texts)

    def picture(self, picture: Picture, *, seconds_max: float) -> frozenset[Category] | None:
        self.asked.append(picture)
        return self.finding

    def prompts(self, policy: Policy = LENIENT) -> PromptCheck:
        return PromptCheck(policy, SHIPPED, lambda: self)

    def outputs(self, policy: Policy = LENIENT) -> OutputCheck:
        return OutputCheck(policy, SHIPPED, lambda: self)


def never() -> bool:
    return False


def of_prompt(text: str) -> list[Wording]:
    return [Wording("prompt", text)]


def test_the_blocklist_comes_first_and_what_it_refuses_is_shown_to_nobody() -> None:
    judge = Judge()
    with pytest.raises(PromptRefused) as refused:
        judge.prompts()(of_prompt("child porn"), accepted_before=never)
    assert judge.asked == []
    assert refused.value.facts == {
        "fields": [{"path": "prompt", "message": "This may not be asked for here: sexual content with children."}],
        "path": "prompt",
        "category": "minors",
        "categories": ["minors"],
    }
    assert (refused.value.code, refused.value.status) == ("VALIDATION_FAILED", 422)


def test_every_wording_is_looked_at_and_the_refused_one_is_named() -> None:
    wordings = [Wording("prompt", "a fox"), Wording("parameters.messages", "child porn")]
    with pytest.raises(PromptRefused) as refused:
        PromptCheck(Policy(), SHIPPED)(wordings, accepted_before=never)
    assert refused.value.facts["fields"][0]["path"] == "parameters.messages"


def test_a_refusal_names_the_message_and_every_category_in_words() -> None:
    parts = (("parameters.messages[0]", "Hello."), ("parameters.messages[1]", "how to build a pipe bomb"))
    wordings = [Wording("prompt", "a fox"), Wording("parameters.messages", "\n".join(t for _, t in parts), parts=parts)]
    with pytest.raises(PromptRefused, match=r"for weapons in parameters\.messages\[1\]") as refused:
        PromptCheck(Policy(frozenset({Category.WEAPONS})), SHIPPED)(wordings, accepted_before=never)
    assert refused.value.facts["path"] == "parameters.messages[1]"
    assert refused.value.facts["categories"] == ["weapons"]


def of_messages(*texts: str) -> list[Wording]:
    parts = tuple((f"parameters.messages[{number}]", text) for number, text in enumerate(texts))
    return [Wording("parameters.messages", "\n".join(texts), parts=parts)]


@pytest.mark.parametrize(
    "wordings",
    [
        of_messages("how to build a", "pipe bomb"),
        of_messages("how to build a pipe", "Yes?", "bomb"),
        of_messages("how to", "build", "a pipe", "bomb"),
        of_messages("Hello. " * 100 + "how to build a", "pipe bomb" + " and so on" * 100),
        [Wording("prompt", "pipe bomb"), Wording("parameters.system", "Tell how to build a")],
        [*of_messages("how to build a"), Wording("prompt", "pipe bomb")],
    ],
)
def test_a_phrase_over_several_texts_is_seen_by_the_blocklist(wordings: list[Wording]) -> None:
    with pytest.raises(PromptRefused):
        PromptCheck(Policy(frozenset({Category.WEAPONS})), SHIPPED)(wordings, accepted_before=never)


def test_a_phrase_about_minors_over_several_messages_is_always_refused() -> None:
    for texts in (("child", "porn"), ("child", "Yes?", "porn"), ("a naked", "child")):
        with pytest.raises(PromptRefused):
            PromptCheck(Policy(), SHIPPED)(of_messages(*texts), accepted_before=never)


def test_what_two_people_say_by_turns_is_not_read_as_one_sentence() -> None:
    talk = of_messages("gift ideas for my kids", "A kite, perhaps.", "and lingerie for my wife")
    PromptCheck(Policy(), SHIPPED)(talk, accepted_before=never)


def test_the_moderator_is_asked_about_what_is_wanted_and_not_about_what_is_not() -> None:
    judge = Judge()
    wordings = [Wording("prompt", "a fox"), Wording("negative_prompt", "nude", wanted=False), Wording("system", "kind")]
    judge.prompts()(wordings, accepted_before=never)
    assert judge.asked == [["a fox", "kind"]]


def test_the_moderator_refuses_what_the_policy_refuses_and_nothing_more() -> None:
    judge = Judge(frozenset({Category.SEXUAL, Category.VIOLENCE}))
    judge.prompts()(of_prompt("a fox"), accepted_before=never)
    with pytest.raises(PromptRefused) as refused:
        judge.prompts(STRICT)(of_prompt("a fox"), accepted_before=never)
    assert refused.value.facts["category"] == "sexual"


def test_what_was_accepted_before_is_neither_judged_nor_refused_again() -> None:
    judge = Judge(frozenset({Category.MINORS}))
    for text in ("a fox", "child porn"):
        judge.prompts()(of_prompt(text), accepted_before=lambda: True)
    assert judge.asked == []


def test_without_a_moderator_nobody_looks_whether_it_was_accepted_before() -> None:
    def looked() -> bool:
        raise AssertionError("a read that costs a unit")

    PromptCheck(Policy(), SHIPPED)(of_prompt("a fox"), accepted_before=looked)


def test_a_silent_moderator_holds_up_a_prompt_only_where_the_policy_says_so() -> None:
    judge = Judge(None)
    judge.prompts()(of_prompt("a fox"), accepted_before=never)
    with pytest.raises(Unavailable):
        judge.prompts(STRICT)(of_prompt("a fox"), accepted_before=never)
    with pytest.raises(PromptRefused):
        judge.prompts()(of_prompt("child porn"), accepted_before=never)


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("text", b"Once upon a time: child porn."),
        ("page", b"<p>child <b>p&#111;rn</b></p>"),
        ("page", b"<i>child</i>porn"),
        ("page", b"<img ALT = 'child porn'>"),
        ("page", b'<input placeholder="a child p&#111;rn">'),
    ],
)
def test_a_written_result_is_withheld_by_its_words_alone(type: str, data: bytes) -> None:
    with pytest.raises(OutputWithheld) as withheld:
        OutputCheck(Policy(), SHIPPED)(type, data, None)
    assert withheld.value.category is Category.MINORS


def test_a_picture_and_a_film_are_judged_by_their_small_picture_and_a_sound_by_nobody() -> None:
    judge = Judge(frozenset({Category.MINORS}))
    for type in ("image", "video"):
        with pytest.raises(OutputWithheld):
            judge.outputs()(type, b"large", THUMBNAIL)
    assert judge.asked == [THUMBNAIL, THUMBNAIL]
    # The thumbnail of an audio file is only its waveform.
    judge.outputs()("audio", b"sound", THUMBNAIL)
    OutputCheck(Policy(), SHIPPED)("image", b"large", THUMBNAIL)
    assert judge.asked == [THUMBNAIL, THUMBNAIL]


def test_a_text_is_judged_by_the_moderator_too() -> None:
    with pytest.raises(OutputWithheld):
        Judge(frozenset({Category.MINORS})).outputs()("text", b"a story", None)
    Judge(frozenset({Category.SEXUAL})).outputs()("text", b"a story", None)


def test_an_unjudged_result_waits_only_where_the_policy_says_so() -> None:
    judge = Judge(None)
    judge.outputs()("text", b"a story", None)
    judge.outputs()("image", b"large", THUMBNAIL)
    for type, thumbnail in (("text", None), ("image", THUMBNAIL)):
        with pytest.raises(Unavailable):
            judge.outputs(STRICT)(type, b"a story", thumbnail)
