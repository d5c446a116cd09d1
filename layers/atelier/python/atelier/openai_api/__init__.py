"""OpenAI's API (`/v1`): map its requests to recipes, and our generations to its responses. Pure functions, except for
the stores that come in as ports."""
