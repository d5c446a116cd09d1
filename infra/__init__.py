"""Atelier's infrastructure: the nested stacks, the local stack and the deployment to AWS."""
