"""Checks of a speech text before the hold: whether it can be spoken, and which voices can read its script."""

from __future__ import annotations

from datetime import date

import pytest

from atelier.catalogue.catalogue import FOLDER, Catalogue, load
from atelier.catalogue.speakable import is_speakable, script_runs
from atelier.errors import ValidationFailed

TODAY = date(2026, 11, 21)
PROVIDERS = frozenset(["local", "openai", "stability", "custom"])
SPEECH = [("audio", name) for name in ("local/voice", "openai/tts-1", "openai/gpt-4o-mini-tts", "custom/mine")]
SPEECH.append(("avatar", "local/talker"))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load(FOLDER, PROVIDERS)


@pytest.mark.parametrize("text", ["...", "…", "🦊🎉", " ", "\n\t", "<br/><p></p>", "?!—", "\u200b"])
@pytest.mark.parametrize(("kind", "model"), SPEECH)
def test_a_text_with_nothing_to_speak_is_refused(catalogue: Catalogue, kind: str, model: str, text: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        catalogue.offers(kind, model, {}, today=TODAY, seed=1, prompt=text)
    assert "nothing in it to speak" in str(refused.value.facts)
    assert not is_speakable(text)


def test_music_and_an_avatar_with_its_own_audio_need_no_speakable_text(catalogue: Catalogue) -> None:
    assert catalogue.offers("audio", "stability/stable-audio-2.5", {}, today=TODAY, seed=1, prompt="…")
    given = {"audio": 1}
    assert catalogue.offers("avatar", "local/talker", {}, today=TODAY, seed=1, prompt="…", files=given)


def test_a_script_unknown_to_the_local_voice_is_refused_with_the_known_ones(catalogue: Catalogue) -> None:
    for text in ("שלום", "今日は天気がいい", "Say สวัสดี"):
        with pytest.raises(ValidationFailed) as refused:
            catalogue.offers("audio", "local/voice", {}, today=TODAY, seed=1, prompt=text)
        assert "It speaks languages in Latin letters, Chinese, Japanese in kana, Korean" in str(refused.value.facts)
    # Trained voices check their scripts themselves.
    assert catalogue.offers("audio", "openai/tts-1", {}, today=TODAY, seed=1, prompt="שלום")
    _, offers = catalogue.offers("audio", "auto", {}, today=TODAY, seed=1, prompt="שלום")
    assert all(offer.provider != "local" for offer in offers)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world!", ["latin"]),
        ("42", ["latin"]),
        ("你好 world。再见", ["han", "latin", "han"]),
        ("きょうは天気", ["kana", "kanji"]),
        ("ｆｕｌｌ ＷＩＤＴＨ and 𝐛𝐨𝐥𝐝", ["latin"]),
        ("नमस्ते", ["devanagari"]),
        ("ラーメン", ["kana"]),
    ],
)
def test_a_text_is_split_into_runs_by_script(text: str, expected: list[str]) -> None:
    found = list(script_runs(text))
    assert [script for script, _ in found] == expected
    assert "".join(piece for _, piece in found) == text
