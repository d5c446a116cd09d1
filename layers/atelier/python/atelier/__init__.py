"""Atelier: the serverless backend for AI media products. One package per bounded context; arrows point inwards."""
