"""OpenAI's API to the letter: its requests as recipes, our generations as its answers. Nothing here reaches out."""
