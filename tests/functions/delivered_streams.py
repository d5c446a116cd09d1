"""Delivers what was written to the tables' streams to the functions that template.yaml names, through its filters."""

from __future__ import annotations

from typing import Any

import botocore.session

from tests.crashes.simulated_aws import stream_mappings
from tests.embedded_aws import Tables
from tests.invoke import load_function
from tests.table_streams import TableStream


class DeliveredStreams:
    """Follows the streams of tables from now on. Only the functions that a test names get their records."""

    def __init__(self, tables: Tables, *contexts: str) -> None:
        session = botocore.session.get_session()
        dynamodb, streams = session.create_client("dynamodb"), session.create_client("dynamodbstreams")
        self._streams = {each: TableStream(dynamodb, streams, getattr(tables, each)) for each in contexts}

    def deliver(self, *functions: str, times: int = 1) -> int:
        """Delivers the new records to these functions, so many times; returns how many records passed the filters."""
        new = {table: stream.new_records() for table, stream in self._streams.items()}
        passed = 0
        for mapping in stream_mappings():
            if mapping.function in functions and mapping.table in new:
                records: list[dict[str, Any]] = list(filter(mapping.accepts, new[mapping.table]))
                passed += len(records)
                for _ in range(times if records else 0):
                    load_function(mapping.function).handler({"Records": records}, None)
        return passed
