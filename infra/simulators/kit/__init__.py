"""What the simulators share: a server, faults on request, and sample files."""
