"""The composition root: one small module per context. Only here do use cases meet their adapters."""
