"""The stock texts of `local/page` for sites, by language: what it writes, and the words that it translates."""

from __future__ import annotations

from atelier.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class StockTexts:
    """The texts of one language. sections: by the kind of a page, pairs of a heading and its text. With `{subject}`."""

    action: str
    lead: str
    about: str
    closing: str
    closing_text: str
    contact: str
    description: str
    sections: dict[str, tuple[tuple[str, str], ...]]
    sentences: tuple[str, ...]


ENGLISH = StockTexts(
    action="See more",
    lead="{subject}: made with care, close to where you are.",
    about="What it is about",
    closing="Get in touch",
    closing_text="Write to us, or come by. We answer every message.",
    contact="Contact",
    description="{subject}: what it is, what you find here, and how to reach us.",
    sections={
        "portfolio": (
            ("Selected work", "A few pieces, chosen with care, from the last years."),
            ("How it is made", "Slowly, by hand, with an eye for what can be left out."),
            ("Commissions", "Two or three a season, each one for a place of its own."),
        ),
        "shop": (
            ("New this week", "Small batches, made near here, gone when they are gone."),
            ("Why it lasts", "Good material, simple shapes, and somebody who repairs it."),
            ("Delivery", "Packed the same day, sent without plastic."),
        ),
        "food": (
            ("From the kitchen", "A short menu that follows the season."),
            ("The room", "Thirty seats, one long table, and a window to the street."),
            ("Opening hours", "Open from morning until evening, closed on Mondays."),
        ),
        "event": (
            ("Programme", "Two days, one stage, and long breaks to talk."),
            ("The place", "Easy to reach, and hard to leave."),
            ("Who comes", "People who make things, and people who would like to."),
        ),
        "product": (
            ("Quick to begin", "From nothing to a first result in minutes."),
            ("Made for teams", "Share what you have, keep what you know."),
            ("Yours to keep", "Your data stays yours: take it with you at any time."),
        ),
    },
    sentences=(
        "Everything about {subject} begins with a good look at what is there.",
        "We keep {subject} simple, so that there is time for what matters.",
        "Whoever comes for {subject} is welcome to stay a little longer.",
        "The details of {subject} change with the season; the care does not.",
        "Ask us about {subject}: we like to explain how things are made.",
    ),
)
GERMAN = StockTexts(
    action="Mehr sehen",
    lead="{subject}: mit Sorgfalt gemacht, ganz in Ihrer Nähe.",
    about="Worum es geht",
    closing="Schreiben Sie uns",
    closing_text="Schreiben Sie uns, oder kommen Sie vorbei. Wir antworten auf jede Nachricht.",
    contact="Kontakt",
    description="{subject}: was es ist, was Sie hier finden und wie Sie uns erreichen.",
    sections={
        "portfolio": (
            ("Ausgewählte Arbeiten", "Einige Stücke aus den letzten Jahren, mit Bedacht gewählt."),
            ("Wie sie entstehen", "Langsam, von Hand, mit einem Blick für das, was fehlen darf."),
            ("Aufträge", "Zwei oder drei in jeder Saison, jeder für einen eigenen Ort."),
        ),
        "shop": (
            ("Neu in dieser Woche", "Kleine Auflagen von hier; was weg ist, ist weg."),
            ("Warum es hält", "Gutes Material, einfache Formen und jemand, der es repariert."),
            ("Versand", "Am selben Tag gepackt, ohne Plastik verschickt."),
        ),
        "food": (
            ("Aus der Küche", "Eine kurze Karte, die der Jahreszeit folgt."),
            ("Der Raum", "Dreißig Plätze, ein langer Tisch und ein Fenster zur Straße."),
            ("Öffnungszeiten", "Geöffnet von morgens bis abends, montags geschlossen."),
        ),
        "event": (
            ("Programm", "Zwei Tage, eine Bühne und lange Pausen für Gespräche."),
            ("Der Ort", "Leicht zu erreichen und schwer zu verlassen."),
            ("Wer kommt", "Leute, die etwas machen, und Leute, die es gern würden."),
        ),
        "product": (
            ("Schnell begonnen", "In wenigen Minuten von nichts zum ersten Ergebnis."),
            ("Für Teams gemacht", "Teilen Sie, was Sie haben, und behalten Sie, was Sie wissen."),
            ("Es gehört Ihnen", "Ihre Daten bleiben Ihre: Nehmen Sie sie jederzeit mit."),
        ),
    },
    sentences=(
        "Alles rund um {subject} beginnt mit einem Blick auf das, was da ist.",
        "Wir halten {subject} einfach, damit Zeit für das Wichtige bleibt.",
        "Wer wegen {subject} kommt, darf gern etwas länger bleiben.",
        "Die Einzelheiten von {subject} ändern sich mit der Jahreszeit, die Sorgfalt nicht.",
        "Fragen Sie uns nach {subject}: Wir erklären gern, wie etwas entsteht.",
    ),
)
STOCK_TEXTS = {"en": ENGLISH, "de": GERMAN}

# English words of pages in other languages: all that the embedded model can translate.
WORDS = {
    "de": {
        "about": "über", "and": "und", "bread": "Brot", "contact": "Kontakt", "for": "für", "fresh": "frisch",
        "from": "von", "hello": "hallo", "home": "Start", "hours": "Zeiten", "menu": "Karte", "morning": "Morgen",
        "news": "Neues", "open": "geöffnet", "opening": "Öffnungs", "our": "unser", "prices": "Preise", "see": "sehen",
        "shop": "Laden", "team": "Team", "the": "die", "us": "uns", "visit": "besuchen", "we": "wir",
        "welcome": "willkommen", "with": "mit", "work": "Arbeit", "write": "schreiben", "you": "Sie", "your": "Ihr",
    },
    "fr": {
        "about": "à propos", "and": "et", "bread": "pain", "contact": "contact", "for": "pour", "fresh": "frais",
        "from": "de", "hello": "bonjour", "home": "accueil", "hours": "horaires", "menu": "carte", "morning": "matin",
        "news": "actualités", "open": "ouvert", "our": "notre", "prices": "prix", "see": "voir", "shop": "boutique",
        "team": "équipe", "the": "le", "us": "nous", "visit": "visiter", "we": "nous", "welcome": "bienvenue",
        "with": "avec", "work": "travail", "write": "écrire", "you": "vous", "your": "votre",
    },
    "es": {
        "about": "sobre", "and": "y", "bread": "pan", "contact": "contacto", "for": "para", "fresh": "fresco",
        "from": "de", "hello": "hola", "home": "inicio", "hours": "horario", "menu": "carta", "morning": "mañana",
        "news": "noticias", "open": "abierto", "our": "nuestro", "prices": "precios", "see": "ver", "shop": "tienda",
        "team": "equipo", "the": "el", "us": "nosotros", "visit": "visitar", "we": "nosotros",
        "welcome": "bienvenido", "with": "con", "work": "trabajo", "write": "escribir", "you": "usted", "your": "su",
    },
}  # fmt: skip
