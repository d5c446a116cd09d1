"""How `local/page` builds a page: one HTML document with inline style, with a layout that suits the prompt.

It has no script and loads nothing, so it looks the same in a sandbox. The prompt is inserted as escaped text, never as
markup.
"""

from __future__ import annotations

import re
from html import escape
from random import Random

from atelier.adapters.providers.local.canvas import Colour, palette_for, rng_for
from atelier.adapters.providers.local.parameters import choice_parameter, integer_parameter
from atelier.provider_port import Job

STYLES = ("light", "dark", "bold")
KIND_WORDS = {
    "portfolio": "portfolio photographer photography artist designer illustrator work gallery studio",
    "shop": "shop store sell selling product products buy price roastery bakery boutique",
    "food": "restaurant cafe café bistro menu kitchen bar pizzeria food coffee tea bakery roastery",
    "event": "event conference wedding concert festival meetup workshop party invitation",
    "product": "app software saas startup product platform tool service launch landing",
}
SECTIONS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "portfolio": (
        "See the work",
        (
            ("Selected work", "A few pieces, chosen with care, from the last years."),
            ("How it is made", "Slowly, by hand, with an eye for what can be left out."),
            ("Get in touch", "For commissions, questions, or a coffee."),
        ),
    ),
    "shop": (
        "Look around",
        (
            ("New this week", "Small batches, made near here, gone when they are gone."),
            ("Why it lasts", "Good material, simple shapes, and somebody who repairs it."),
            ("Delivery", "Packed the same day, sent without plastic."),
        ),
    ),
    "food": (
        "See the menu",
        (
            ("From the kitchen", "A short menu that follows the season."),
            ("The room", "Thirty seats, one long table, and a window to the street."),
            ("Reserve", "Call us, or simply come by: there is always a corner."),
        ),
    ),
    "event": (
        "Save your seat",
        (
            ("Programme", "Two days, one stage, and long breaks to talk."),
            ("The place", "Easy to reach, and hard to leave."),
            ("Who comes", "People who make things, and people who would like to."),
        ),
    ),
    "product": (
        "Try it",
        (
            ("Quick to begin", "From nothing to a first result in minutes."),
            ("Made for teams", "Share what you have, keep what you know."),
            ("Yours to keep", "Your data stays yours: take it with you at any time."),
        ),
    ),
}
# This pattern expects single spaces between words, as in `_writer`.
REQUEST_LEAD = re.compile(
    r"^(?:please )?(?:(?:make|build|create|design|write|generate) )?(?:me )?(?:(?:an?|the) )?"
    r"(?:(?:simple|modern|small|beautiful|elegant|one-page|single-page|landing|home|web|portfolio) )*"
    r"(?:page|website|site|homepage|webpage) (?:for|about|of) ",
    re.IGNORECASE,
)


def build_page(job: Job) -> str:
    """A complete HTML document for the job's prompt. Raises Refused."""
    seed = integer_parameter(job, "seed", 0, 0, 2**32 - 1)
    style = choice_parameter(job, "style", STYLES)
    rng = rng_for(job.prompt, seed)
    subject = REQUEST_LEAD.sub("", " ".join(job.prompt.replace("\0", " ").split()))[:300].strip() or "A new page"
    title = re.split(r"(?<=\w)[.!?,;:] | in | with | that | – ", subject)[0][:80].strip(" .")
    title = re.sub(r"^(?:a|an|the|my|our)\s+", "", title, flags=re.IGNORECASE)
    title = title[:1].upper() + title[1:]
    action, sections = SECTIONS[page_kind(job.prompt)]
    cards = "\n".join(f"      <article><h2>{name}</h2><p>{text}</p></article>" for name, text in sections)
    return (
        PAGE.format(
            title=escape(title),
            subject=escape(subject[:1].upper() + subject[1:]),
            action=action,
            cards=cards,
            picture=_svg_shapes(palette_for(job.prompt, seed), rng),
            colours=_colours(palette_for(job.prompt, seed), style),
            style=style,
        )
        .encode(errors="replace")
        .decode()
    )


def page_kind(prompt: str) -> str:
    """Which of the kinds of pages in SECTIONS suits a prompt."""
    words = set(re.findall(r"\w+", prompt.lower()))
    scores = {kind: len(words & set(suits.split())) for kind, suits in KIND_WORDS.items()}
    best = max(scores, key=lambda kind: scores[kind])
    return best if scores[best] else "product"


def _colours(palette: tuple[Colour, ...], style: str) -> str:
    """The page's colours as CSS variables. Text and background are dark on light or light on dark, so that the text is
    readable."""
    dark, deep, middle, bright, light = (f"#{r:02x}{g:02x}{b:02x}" for r, g, b in palette)
    colours = {
        "light": {"ground": light, "text": dark, "card": "#ffffff", "accent": deep, "on-accent": light},
        "dark": {"ground": dark, "text": light, "card": deep, "accent": light, "on-accent": dark},
        "bold": {"ground": deep, "text": "#ffffff", "card": dark, "accent": light, "on-accent": dark},
    }[style]
    colours |= {"middle": middle, "bright": bright}
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def _svg_shapes(palette: tuple[Colour, ...], rng: Random) -> str:
    """The SVG shapes of hills under a sun, in four of the palette's colours."""
    sun = rng.randint(180, 620), rng.randint(70, 120)
    shapes = [f'<circle cx="{sun[0]}" cy="{sun[1]}" r="{rng.randint(34, 58)}" fill="rgb{palette[4]}" opacity=".9"/>']
    for number, colour in enumerate((palette[3], palette[2], palette[1])):
        base = 170 + number * 45
        points = [(x, base + rng.randint(-32, 24)) for x in range(-100, 1001, 100)]
        curve = " ".join(f"S{x - 45} {y} {x} {y}" for x, y in points[1:])
        shapes.append(f'<path d="M{points[0][0]} {points[0][1]} {curve} V320 H-100Z" fill="rgb{colour}"/>')
    return "\n        ".join(shapes)


PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="generator" content="Atelier local/page: procedural, by template">
  <title>{title}</title>
  <style>
    :root {{ {colours} }}
    * {{ box-sizing: border-box; margin: 0 }}
    body {{ font: 1.0625rem/1.6 system-ui, sans-serif; background: var(--ground); color: var(--text) }}
    header {{ display: grid; gap: 3rem; grid-template-columns: 1fr 1fr; align-items: center;
      max-width: 72rem; margin: 0 auto; padding: clamp(2rem, 8vw, 6rem) 1.5rem }}
    h1 {{ font-size: clamp(2.25rem, 6vw, 4rem); line-height: 1.08; letter-spacing: -.02em; text-wrap: balance }}
    header p {{ margin: 1.25rem 0 2rem; max-width: 34rem; font-size: 1.2rem; overflow-wrap: anywhere }}
    h1, h2 {{ overflow-wrap: anywhere }}
    .action {{ display: inline-block; padding: .8rem 1.6rem; border-radius: 99px; font-weight: 600;
      text-decoration: none; background: var(--accent); color: var(--on-accent) }}
    .action:focus-visible {{ outline: 3px solid var(--bright); outline-offset: 3px }}
    svg {{ width: 100%; height: auto; display: block; border-radius: 1.25rem;
      background: linear-gradient(var(--middle), var(--bright)) }}
    main {{ display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr));
      max-width: 72rem; margin: 0 auto; padding: 0 1.5rem 5rem }}
    article {{ padding: 1.75rem; border-radius: 1.25rem; background: var(--card) }}
    article h2 {{ font-size: 1.25rem; margin-bottom: .5rem }}
    footer {{ max-width: 72rem; margin: 0 auto; padding: 1.5rem; font-size: .875rem }}
    .bold h1 {{ font-size: clamp(2.25rem, 5.5vw, 4.25rem); text-transform: uppercase }}
    @media (max-width: 46rem) {{ header {{ grid-template-columns: 1fr }} }}
  </style>
</head>
<body class="{style}">
  <header>
    <div>
      <h1>{title}</h1>
      <p>{subject}</p>
      <a class="action" href="#more">{action}</a>
    </div>
    <svg viewBox="0 0 800 320" role="img" aria-label="Hills under a low sun" preserveAspectRatio="xMidYMid slice">
        {picture}
    </svg>
  </header>
  <main id="more">
{cards}
  </main>
  <footer>Procedural: built from a template by Atelier local/page.</footer>
</body>
</html>
"""
