"""Pages, sections, texts and layouts of sites, written by a language model."""
