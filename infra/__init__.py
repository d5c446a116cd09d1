"""What Atelier stands on: the nested stacks, the local stack and the deployment."""
