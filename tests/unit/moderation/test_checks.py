"""Which checks prompts and results pass, in which order, and what a missing response means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from atelier.errors import PromptRefused, Unavailable
from atelier.moderation.blocklist import DEFAULT_BLOCKLIST
from atelier.moderation.model import Category, OutputWithheld, Policy, RequestText, Thumbnail
from atelier.moderation.outputs import OutputCheck
from atelier.moderation.ports import Findings
from atelier.moderation.prompts import PromptCheck

LENIENT = Policy()
STRICT = Policy(frozenset({Category.SEXUAL}), "refuse")
THUMBNAIL = Thumbnail(b"picture", "image/webp")


@dataclass
class Judge:
    """A moderator that returns `finding` for everything; None means no response."""

    finding: frozenset[Category] | None = frozenset()
    calls: list[object] = field(default_factory=list[object])

    def texts(self, texts: Sequence[str], *, seconds_max: float) -> Findings | None:
        self.calls.append(list(texts))
        return None if self.finding is None else tuple(self.finding for _ in texts)

    def image(self, thumbnail: Thumbnail, *, seconds_max: float) -> frozenset[Category] | None:
        self.calls.append(thumbnail)
        return self.finding

    def prompts(self, policy: Policy = LENIENT) -> PromptCheck:
        return PromptCheck(policy, DEFAULT_BLOCKLIST, lambda: self)

    def outputs(self, policy: Policy = LENIENT) -> OutputCheck:
        return OutputCheck(policy, DEFAULT_BLOCKLIST, lambda: self)


def never() -> bool:
    return False


def of_prompt(text: str) -> list[RequestText]:
    return [RequestText("prompt", text)]


def test_a_prompt_refused_by_the_blocklist_is_not_sent_to_the_moderator() -> None:
    judge = Judge()
    with pytest.raises(PromptRefused) as refused:
        judge.prompts()(of_prompt("child porn"), accepted_before=never)
    assert judge.calls == []
    assert refused.value.facts == {
        "fields": [{"path": "prompt", "message": "Not allowed here: sexual content with children."}],
        "path": "prompt",
        "category": "minors",
        "categories": ["minors"],
    }
    assert (refused.value.code, refused.value.status) == ("VALIDATION_FAILED", 422)


def test_every_field_is_checked_and_the_refused_one_is_named() -> None:
    wordings = [RequestText("prompt", "a fox"), RequestText("parameters.messages", "child porn")]
    with pytest.raises(PromptRefused) as refused:
        PromptCheck(Policy(), DEFAULT_BLOCKLIST)(wordings, accepted_before=never)
    assert refused.value.facts["fields"][0]["path"] == "parameters.messages"


def test_a_refusal_names_the_message_and_its_categories() -> None:
    parts = (("parameters.messages[0]", "Hello."), ("parameters.messages[1]", "how to build a pipe bomb"))
    wordings = [
        RequestText("prompt", "a fox"),
        RequestText("parameters.messages", "\n".join(t for _, t in parts), parts=parts),
    ]
    with pytest.raises(PromptRefused, match=r"for weapons in parameters\.messages\[1\]") as refused:
        PromptCheck(Policy(frozenset({Category.WEAPONS})), DEFAULT_BLOCKLIST)(wordings, accepted_before=never)
    assert refused.value.facts["path"] == "parameters.messages[1]"
    assert refused.value.facts["categories"] == ["weapons"]


def of_messages(*texts: str) -> list[RequestText]:
    parts = tuple((f"parameters.messages[{number}]", text) for number, text in enumerate(texts))
    return [RequestText("parameters.messages", "\n".join(texts), parts=parts)]


@pytest.mark.parametrize(
    "wordings",
    [
        of_messages("how to build a", "pipe bomb"),
        of_messages("how to build a pipe", "Yes?", "bomb"),
        of_messages("how to", "build", "a pipe", "bomb"),
        of_messages("Hello. " * 100 + "how to build a", "pipe bomb" + " and so on" * 100),
        [RequestText("prompt", "pipe bomb"), RequestText("parameters.system", "Tell how to build a")],
        [*of_messages("how to build a"), RequestText("prompt", "pipe bomb")],
    ],
)
def test_a_phrase_split_over_several_texts_is_found(wordings: list[RequestText]) -> None:
    with pytest.raises(PromptRefused):
        PromptCheck(Policy(frozenset({Category.WEAPONS})), DEFAULT_BLOCKLIST)(wordings, accepted_before=never)


def test_a_phrase_about_minors_split_over_messages_is_refused() -> None:
    for texts in (("child", "porn"), ("child", "Yes?", "porn"), ("a naked", "child")):
        with pytest.raises(PromptRefused):
            PromptCheck(Policy(), DEFAULT_BLOCKLIST)(of_messages(*texts), accepted_before=never)


def test_alternating_messages_are_not_read_as_one_sentence() -> None:
    talk = of_messages("gift ideas for my kids", "A kite, perhaps.", "and lingerie for my wife")
    PromptCheck(Policy(), DEFAULT_BLOCKLIST)(talk, accepted_before=never)


def test_the_moderator_gets_every_text_but_the_negative_prompt() -> None:
    judge = Judge()
    wordings = [
        RequestText("prompt", "a fox"),
        RequestText("negative_prompt", "nude", wanted=False),
        RequestText("system", "kind"),
    ]
    judge.prompts()(wordings, accepted_before=never)
    assert judge.calls == [["a fox", "kind"]]


def test_only_moderator_findings_in_the_policy_are_refused() -> None:
    judge = Judge(frozenset({Category.SEXUAL, Category.VIOLENCE}))
    judge.prompts()(of_prompt("a fox"), accepted_before=never)
    with pytest.raises(PromptRefused) as refused:
        judge.prompts(STRICT)(of_prompt("a fox"), accepted_before=never)
    assert refused.value.facts["category"] == "sexual"


def test_a_prompt_accepted_before_is_not_checked_again() -> None:
    judge = Judge(frozenset({Category.MINORS}))
    for text in ("a fox", "child porn"):
        judge.prompts()(of_prompt(text), accepted_before=lambda: True)
    assert judge.calls == []


def test_a_check_without_a_moderator_skips_the_accepted_before_lookup() -> None:
    def looked() -> bool:
        raise AssertionError("a read that costs a unit")

    PromptCheck(Policy(), DEFAULT_BLOCKLIST)(of_prompt("a fox"), accepted_before=looked)


def test_an_unanswered_prompt_check_refuses_only_under_a_strict_policy() -> None:
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
def test_a_text_result_with_a_blocked_phrase_is_withheld(type: str, data: bytes) -> None:
    with pytest.raises(OutputWithheld) as withheld:
        OutputCheck(Policy(), DEFAULT_BLOCKLIST)(type, data, None)
    assert withheld.value.category is Category.MINORS


def test_images_and_videos_are_moderated_by_thumbnail_and_audio_is_not() -> None:
    judge = Judge(frozenset({Category.MINORS}))
    for type in ("image", "video"):
        with pytest.raises(OutputWithheld):
            judge.outputs()(type, b"large", THUMBNAIL)
    assert judge.calls == [THUMBNAIL, THUMBNAIL]
    # The thumbnail of an audio file is only its waveform.
    judge.outputs()("audio", b"sound", THUMBNAIL)
    OutputCheck(Policy(), DEFAULT_BLOCKLIST)("image", b"large", THUMBNAIL)
    assert judge.calls == [THUMBNAIL, THUMBNAIL]


def test_a_text_result_is_checked_by_the_moderator() -> None:
    with pytest.raises(OutputWithheld):
        Judge(frozenset({Category.MINORS})).outputs()("text", b"a story", None)
    Judge(frozenset({Category.SEXUAL})).outputs()("text", b"a story", None)


def test_an_unanswered_result_check_refuses_only_under_a_strict_policy() -> None:
    judge = Judge(None)
    judge.outputs()("text", b"a story", None)
    judge.outputs()("image", b"large", THUMBNAIL)
    for type, thumbnail in (("text", None), ("image", THUMBNAIL)):
        with pytest.raises(Unavailable):
            judge.outputs(STRICT)(type, b"a story", thumbnail)
