"""How `local/writer` writes: randomly chosen stock sentences, filled with the subject of the prompt.

It understands nothing, and each text ends with the word “(procedural)”. Every four bytes of UTF-8 count as one token,
rounded up, for the input and the output.
"""

from __future__ import annotations

import re
from random import Random

from atelier.adapters.providers import _conversation
from atelier.adapters.providers.local.canvas import rng_for
from atelier.adapters.providers.local.parameters import integer_parameter
from atelier.provider_port import Job

BYTES_PER_TOKEN = 4
TOKENS_MAX = 32768
MARK = "(procedural)"

OPENINGS = (
    "There is more to {subject} than meets the eye.",
    "Let us begin with {subject}, and take our time.",
    "Ask ten people about {subject}, and you will hear eleven answers.",
    "Everything worth saying about {subject} starts small.",
    "{Subject}: a simple thing, seen from far away.",
)
MIDDLES = (
    "Look closely, and you find a pattern that repeats without ever being the same twice.",
    "The first attempt rarely works; the third one usually teaches you why.",
    "What seems like an ornament turns out to carry the weight.",
    "It helps to know what to leave out.",
    "Somebody once wrote it on a postcard, and the postcard was right.",
    "The details matter: the light, the pace, the pause before the last word.",
    "Give it an hour in the morning, when the house is quiet.",
    "None of this is a secret, and yet it has to be found anew each time.",
    "A good beginning is plain, and a good ending is plainer.",
    "Between the plan and the result there is always some weather.",
)
CLOSINGS = (
    "That is where {subject} becomes your own.",
    "And so {subject} stays with you, a little longer than expected.",
    "Begin there; the rest of {subject} follows.",
    "In the end, {subject} is what you make of it.",
)
VERSES = (
    ("{Subject}, at first light", "waiting without a reason", "the day learns its name"),
    ("A door left open", "{subject} comes in with the wind", "and sits by the fire"),
    ("Nothing is hurried", "{subject} and the slow river", "both know the way home"),
    ("Snow on the rooftops", "someone thinks of {subject}", "and puts the kettle on"),
)
ITEMS = (
    "Start with {subject} as it is, before you change anything",
    "Take one part of {subject} away, and see what is missed",
    "Show {subject} to somebody who has never seen it",
    "Put {subject} where the light is best",
    "Write down what {subject} is not",
    "Turn {subject} around: begin with its end",
    "Give {subject} a season, and let it show",
    "Make {subject} smaller, until only the idea is left",
    "Let two kinds of {subject} meet",
    "Leave {subject} alone for a day, then look again",
)
TITLES = (
    "{Subject}, Plainly",
    "The Quiet Side of {Subject}",
    "{Subject} by Hand",
    "All About {Subject}",
    "Why {Subject}?",
)
LIGHTS = (
    "soft morning light",
    "golden evening light",
    "light through thin clouds",
    "cool moonlight",
    "light from one side",
)
LOOKS = ("fine detail", "muted colours", "rich colours", "a shallow depth of field", "clear air", "gentle grain")
VIEWS = ("wide angle", "seen from slightly above", "close up", "balanced composition", "a calm background")

# These patterns expect lines with single spaces: patterns with `\s+` between the words would backtrack for longer than
# linear time.
REQUEST_VERBS = (
    r"(?:please |can you |could you )*(?:write|make|give|tell|create|compose|draft|describe|list|suggest|name)"
)
REQUEST_LEAD = re.compile(
    rf"^(?:{REQUEST_VERBS} )?(?:(?:me|us) )?(?:(?:an?|the|some|\d+|two|three|four|five|six|ten) )?(?:\w+ ){{0,3}}?"
    r"(?:about|on|of|for|called|titled) ",
    re.IGNORECASE,
)
REQUEST_START = re.compile(rf"^{REQUEST_VERBS} (?:me |us )?", re.IGNORECASE)
NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}


def write_text(job: Job) -> tuple[str, dict[str, int]]:
    """The written text, and its usage in tokens. Raises Refused."""
    seed = integer_parameter(job, "seed", 0, 0, 2**32 - 1)
    tokens_max = integer_parameter(job, "max_tokens", 512, 1, TOKENS_MAX)
    system, messages = split_conversation(job)
    last = messages[-1] if messages else ""
    rng = rng_for("\n".join([system, *messages]), seed)
    text = _truncate(_compose(system, last, rng), tokens_max, job.parameters.get("stop") or [])
    return text, {"tokens_input": count_tokens("\n".join([system, *messages])), "tokens_output": count_tokens(text)}


def count_tokens(text: str) -> int:
    """The number of tokens of a text: a quarter of its UTF-8 bytes, rounded up."""
    return -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN)


def split_conversation(job: Job) -> tuple[str, list[str]]:
    """The system instructions as one text, and the other messages' texts in order."""
    messages = _conversation.messages_of(job)
    system = [str(job.parameters["system"])] if job.parameters.get("system") else []
    system += [message.text for message in messages if message.role == "system"]
    return "\n".join(system), [message.text for message in messages if message.role != "system"] or [job.prompt]


def _compose(system: str, request: str, rng: Random) -> str:
    both = f"{system}\n{request}".lower()
    if re.search(r"(rewrite|enhance|improve|expand|enrich)\b.{0,60}\bprompt", both, re.DOTALL):
        return f"{_enhance_prompt(request, rng)} {MARK}"
    if re.fullmatch(r"\W*(hello|hi|hey|good (morning|evening)|ping|test)\b.{0,20}", request.lower().strip()):
        return f"Hello. Ask me for a poem, a list, a title or a few lines about anything.\n\n{MARK}"
    topic = subject(request)
    fields = {"subject": topic, "Subject": topic[:1].upper() + topic[1:]}
    if re.search(r"\b(haiku|poem|verse|rhyme|song|lyrics)\b", both):
        lines = "\n".join(rng.choice(VERSES)) if "haiku" in both else _poem(rng)
    elif re.search(r"\b(list|ideas|tips|steps|suggestions|bullet|names)\b", both):
        count = re.search(r"\b(\d{1,2}|two|three|four|five|six|seven|eight|nine|ten)\b", request.lower())
        number = NUMBERS.get(count[1]) or int(count[1]) if count else 5
        chosen = rng.sample(ITEMS, min(max(number, 1), len(ITEMS)))
        lines = "\n".join(f"{place}. {item}." for place, item in enumerate(chosen, 1))
    elif re.search(r"\b(title|headline|slogan|tagline|caption)\b", both):
        lines = rng.choice(TITLES)
    else:
        lines = _prose(rng)
    return f"{lines.format(**fields)}\n\n{MARK}"


def subject(request: str) -> str:
    """The subject of a request: its first line without “write me a poem about”, up to the end of the sentence, at most
    twelve words."""
    line = next((" ".join(line.split()) for line in request.splitlines() if line.strip()), "")
    line = REQUEST_START.sub("", REQUEST_LEAD.sub("", line))
    line = re.split(r"[.!?;\n]", line)[0]
    # Braces are removed, because the sentences are filled by `str.format`; so are other brackets and quotes.
    words = re.sub(r"[{}\[\]<>\"“”]", "", line).split()[:12]
    return " ".join(words).strip(" ,:") or "nothing in particular"


def _enhance_prompt(request: str, rng: Random) -> str:
    """The prompt unchanged, with words for light, look and view added."""
    head, colon, rest = request.strip().partition(":")
    is_lead = colon and "\n" not in head and re.search(r"\bprompt\b", head, re.IGNORECASE)
    prompt = (rest if is_lead else request).strip().rstrip(".,; ")
    additions = [rng.choice(LIGHTS), *rng.sample(LOOKS, 2), rng.choice(VIEWS)]
    return ", ".join(part for part in [prompt, *additions] if part)


def _poem(rng: Random) -> str:
    return "\n\n".join("\n".join(verse) for verse in rng.sample(VERSES, 3))


def _prose(rng: Random) -> str:
    middles = rng.sample(MIDDLES, 7)
    paragraphs = [
        " ".join([rng.choice(OPENINGS), *middles[:2]]),
        " ".join(middles[2:5]),
        " ".join([*middles[5:], rng.choice(CLOSINGS)]),
    ]
    return "\n\n".join(paragraphs)


def _truncate(text: str, tokens_max: int, stop: list[str]) -> str:
    """The text cut at the first stop word and to `tokens_max`, between words. The mark at the end is kept as long as
    there is room, in a form that contains no stop word."""
    body, mark = text.removesuffix(MARK).rstrip(), text[len(text.removesuffix(MARK).rstrip()) :]
    for word in stop:
        body = body.partition(word)[0]
    if stop:
        body = body.rstrip()
        mark = next((form for form in (mark, f" {MARK}") if not any(word in body + form for word in stop)), "")
    room = tokens_max * BYTES_PER_TOKEN
    if len((body + mark).encode(errors="replace")) <= room:
        return body + mark
    left = room - len(mark)
    if left <= 0:
        return mark.strip()[:room]
    cut = body.encode(errors="replace")[:left].decode(errors="ignore")
    return (cut.rpartition(" ")[0].rstrip() or cut) + mark
