"""How the deployment itself is: what administrators see of its tables, queues, streams, schedules and alarms."""
