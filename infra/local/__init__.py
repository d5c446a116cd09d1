"""The same stack on one machine: the embedded AWS, the deployment of template.yaml to it, and the edge in front."""
