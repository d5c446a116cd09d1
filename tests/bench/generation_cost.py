"""Rows 4, 5 and 6: what one image costs at AWS, from the submission to the asset, the settled, sealed credits, and the
count of it in analytics.

A meter between the functions and the embedded AWS counts their calls. Lambda's requests and times come from its own
reports in the log, states and time from the execution, and prices from a dated file. Cold starts and what happens
once an hour (reading secrets and keys) are not counted: they are spread over too many generations to matter. The
embedded model's time is not counted either, because it paints inside the function; it is in the log too, and is printed
separately.

Seals and analytics follow in batches: AWS collects what a workspace does within SealWindowSeconds (a minute). Their
units are those of a batch of BATCH generations of one workspace, divided; what a generation costs that is alone in its
minute is printed beside that. What is done once an hour for a workspace, keeping the sums of its day, is not counted
either.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.bench.measure import Result
from tests.bench.meter import Meter, metering_proxy
from tests.bench.stack import BenchStack
from tests.bench.units import Units

PROMPT = "a lighthouse at dusk, waves below, oil on canvas, warm light in the windows, a storm far out"
GENERATIONS = 5
WARM_UP = 2
TABLES = ("identity", "ledger", "generations", "library", "requests", "analytics")
SEALING, COUNTING = "StreamsLedgerFunction", "StreamsAnalyticsFunction"
BATCH = 20
"""How many generations are sealed and counted at once."""
BATCH_TRIES = 4
MILESTONES = 4
"""What an account with a picture has reached: sign-up, picture, and a day and a month with a request."""
COUNTED_PARTS = 6
"""What it writes for them: a receipt, a row and the mark of the hour, for usage and for credits."""
CLIENT_POLLS = 2
"""How often a client looks at a generation before it is done."""
QUIET_SECONDS = 1.0
SETTLED_SECONDS_MAX = 60
GENERATION_SECONDS_MAX = 60
EXPRESS_GIGABYTES = 64 / 1024
"""An Express execution is billed in steps of 64 MB; its input and its state take a few KB."""
LOG_EVENT_OVERHEAD_BYTES = 26
ACCESS_LOG_BYTES = 300

BILLED_CALLS = {"sqs": "sqs_request", "events": "event", "secretsmanager": "secret_read"}
ATTEMPT_ENDED = '"message":"attempt ended"'
REPORT = re.compile(r"REPORT RequestId: \S+\tDuration: \S+ ms\tBilled Duration: ([\d.]+) ms\tMemory Size: (\d+) MB")


@dataclass(frozen=True, slots=True)
class Bill:
    """What one image used. `tables`: request units by table, from the submission to the last event about it.
    `transitions`: of its Express execution, which is billed by its time instead. `quantities`: amounts by the names of
    the price file, including a client's polls."""

    tables: dict[str, Units]
    transitions: int
    quantities: Counter[str]

    def with_share(self, of_batch: Bill, number: int) -> Bill:
        """This bill with its share of what is done once for a number of generations."""
        shares = {
            table: self.tables.get(table, Units()) + units * (1 / number) for table, units in of_batch.tables.items()
        }
        shared_quantities = Counter({name: amount / number for name, amount in of_batch.quantities.items()})  # pyright: ignore[reportArgumentType]
        return Bill(self.tables | shares, self.transitions, self.quantities + shared_quantities)

    @property
    def units(self) -> Units:
        """The way from the submission to analytics; what real time reads and writes is a row of its own."""
        return sum((units for table, units in self.tables.items() if not is_realtime(table)), Units())

    @property
    def realtime(self) -> Units:
        """What real time reads and writes."""
        return sum((units for table, units in self.tables.items() if is_realtime(table)), Units())

    def dollars(self, prices: dict[str, int]) -> dict[str, float]:
        """Dollars for a million generations, by the names of the price file."""
        by_name = {"model_gigabyte_second": prices["lambda_gigabyte_second"], **prices}
        return {thing: amount * by_name[thing] / 1e6 for thing, amount in self.quantities.items()}


def is_realtime(table: str) -> bool:
    """Whether a table is that of feeds and connections."""
    return "realtime" in table.lower()


def rows(running: BenchStack) -> list[Result]:
    """Units, transitions and dollars of one generation (of a million, for the last)."""
    sheet = yaml.safe_load((Path(__file__).parent / "prices.yaml").read_text())
    prices, naive = sheet["microusd_per_million"], sheet["naive"]
    # The median: a schedule may have run meanwhile, and its calls belong to no generation.
    bill, alone = (
        sorted(bills, key=lambda bill: sum(bill.dollars(prices).values()))[GENERATIONS // 2]
        for bills in measure_bills(running, batches=(BATCH, 1))
    )
    dollars = bill.dollars(prices)
    model = dollars.pop("model_gigabyte_second")
    for context in TABLES:
        print(f"{context}: {bill.tables.get(running.child.table(context), Units())}")
    print(f"real time, while nobody watches: {bill.realtime}")
    print(f"a generation that is alone in its minute: {alone.units}")
    print("dollars for a million: " + "; ".join(f"{thing} {amount:.2f}" for thing, amount in sorted(dollars.items())))
    print(f"the model that paints them, beside that: {model:.2f}")
    naive_dollars = naive["microusd_per_million_generations"] / 1e6
    return [
        Result(4, f"write units, {BATCH} a batch", bill.units.write, naive["write_units"], "WRU", ours_max=16),
        Result(4, f"read units, {BATCH} a batch", bill.units.read, naive["read_units"], "RRU", ours_max=8),
        Result(5, "transitions of a generation", bill.transitions, naive["transitions"], "", ours_max=5),
        Result(6, "a million generations at AWS", sum(dollars.values()), naive_dollars, "$", ours_max=130),
    ]


def measure_bills(
    stack: BenchStack, generations: int = GENERATIONS, batches: tuple[int, ...] = (BATCH,)
) -> list[list[Bill]]:
    """Generate images one after the other behind the meter, after a few uncounted ones; for each size of a batch their
    bills, with a share of what is done for such a batch."""
    with metering_proxy(stack.aws.endpoint) as (meter, url):
        stack.set_environment(AWS_ENDPOINT_URL=url)
        try:
            # First, so that nothing else waits in the streams.
            shared = {number: measure_batch(stack, meter, number) for number in batches}
            token = stack.sign_up()
            with stack.one_batch(COUNTING), stack.one_batch(SEALING):
                bills = [measure_bill(stack, meter, token) for _ in range(WARM_UP + generations)][WARM_UP:]
            return [[bill.with_share(shared[number], number) for bill in bills] for number in batches]
        finally:
            stack.set_environment(AWS_ENDPOINT_URL=stack.aws.endpoint)


def measure_bill(stack: BenchStack, meter: Meter, token: str) -> Bill:
    """Generate one image and count everything that was done for it, except its seal and its facts, which wait."""
    wait_until_idle(meter)
    meter.reset()
    since = int(time.time() * 1000)

    generation = submit_image(stack, token)
    execution = wait_for_execution(stack, generation)
    wait_until_idle(meter)
    tables = dict(meter.dynamodb.tables)
    for _ in range(CLIENT_POLLS):
        status, answer = stack.call("GET", f"/api/generations/{generation}", token=token)
        assert status == 200, answer

    quantities = lambda_usage(stack, since)
    for name, count in meter.calls.items():
        service, operation = name.split(".")
        if service in BILLED_CALLS:
            quantities[BILLED_CALLS[service]] += count
        elif service == "s3":
            quantities["s3_put" if operation in ("PUT", "POST") else "s3_get"] += count
    quantities["dynamodb_write_unit"] = meter.dynamodb.total.write
    quantities["dynamodb_read_unit"] = meter.dynamodb.total.read
    quantities["express_request"] = 1
    quantities["express_gigabyte_second"] = express_seconds(stack, execution) * EXPRESS_GIGABYTES  # pyright: ignore
    quantities["http_api_request"] = 1 + CLIENT_POLLS
    quantities["log_byte"] += quantities["http_api_request"] * ACCESS_LOG_BYTES
    return Bill(tables, count_transitions(stack, execution), quantities)


def measure_batch(stack: BenchStack, meter: Meter, number: int) -> Bill:
    """What seals and analytics do for a batch of generations of a new account, and the movements of their credits.

    Measured again when the stream has delivered the batch in two, which happens on a busy machine."""
    sums, ledger = stack.child.table("analytics"), stack.child.table("ledger")
    # One transaction for each of the two streams that analytics reads, and one seal.
    expected = Counter({("TransactWriteItems", sums): COUNTED_PARTS, ("PutItem", ledger): 1})
    for _ in range(BATCH_TRIES):
        since = deliver_batch(stack, meter, number, expected)
        written = Counter((operation, table) for operation, table, _ in meter.dynamodb.log)
        if all(written[each] == count for each, count in expected.items()):
            break
    tables = {table: meter.dynamodb.tables[table] for table in (sums, ledger)}
    quantities, units = lambda_usage(stack, since), sum(tables.values(), Units())
    quantities["dynamodb_write_unit"], quantities["dynamodb_read_unit"] = units.write, units.read
    return Bill(tables, 0, quantities)


def deliver_batch(stack: BenchStack, meter: Meter, number: int, expected: Counter[tuple[str, str]]) -> int:
    """Let a new account generate a number of images, then deliver what waits in the streams, and meter only that.
    Returns when the delivery began, in milliseconds. expected: (operation, table) → the writes that end it."""
    token = stack.sign_up()
    wait_for_execution(stack, submit_image(stack, token, 512))
    wait_for_milestones(stack, stack.child.table("analytics"))
    with stack.one_batch(COUNTING), stack.one_batch(SEALING):
        for _ in range(number):
            # Small ones, because a day's credits are few.
            wait_for_execution(stack, submit_image(stack, token, 512))
        wait_until_idle(meter)
        meter.reset()
        since = int(time.time() * 1000)
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    while not expected <= Counter((operation, table) for operation, table, _ in meter.dynamodb.log):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not sealed and counted within {SETTLED_SECONDS_MAX} s")
        time.sleep(0.05)
    wait_until_idle(meter)
    return since


def wait_for_milestones(stack: BenchStack, table: str) -> None:
    """Wait until what an account reaches once a day is counted, which no later generation of the day pays for."""
    dynamodb, deadline = stack.aws.client("dynamodb"), time.monotonic() + SETTLED_SECONDS_MAX
    arguments = {
        "FilterExpression": "begins_with(sk, :prefix)",
        "ExpressionAttributeValues": {":prefix": {"S": "milestone#"}},
    }
    before = 0
    while True:
        count = dynamodb.scan(TableName=table, **arguments)["Count"]
        # They come one after the other, the last one of each account at the end.
        if count and count == before and count % MILESTONES == 0:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"no milestones within {SETTLED_SECONDS_MAX} s")
        before = count
        time.sleep(0.2)


def submit_image(stack: BenchStack, token: str, side: int = 1024) -> str:
    """Submit one square image; returns the generation's id."""
    parameters = {"width": side, "height": side}
    body = {"kind": "image", "prompt": PROMPT, "model": "local/canvas", "parameters": parameters}
    status, answer = stack.call("POST", "/api/generate", body, token)
    assert status == 202, answer
    return answer["data"]["generation"]["id"]


def wait_for_execution(stack: BenchStack, generation: str) -> str:
    """Wait for the generation's execution without passing the meter; returns its ARN."""
    states = stack.aws.client("stepfunctions")
    execution = f"{stack.child.resource('GenerateMediaExpress').replace(':stateMachine:', ':execution:')}:{generation}"
    deadline = time.monotonic() + GENERATION_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            status = states.describe_execution(executionArn=execution)["status"]
        except states.exceptions.ExecutionDoesNotExist:
            status = "RUNNING"
        if status != "RUNNING":
            assert status == "SUCCEEDED", status
            return execution
        time.sleep(0.05)
    raise TimeoutError(f"{generation} did not end within {GENERATION_SECONDS_MAX} s")


def wait_until_idle(meter: Meter) -> None:
    """Wait until no call has passed the meter for a second: streams and events follow after the answer."""
    last_count, since = -1, time.monotonic()
    deadline = since + SETTLED_SECONDS_MAX
    while time.monotonic() < min(deadline, since + QUIET_SECONDS):
        passed = sum(meter.calls.values())
        if passed != last_count:
            last_count, since = passed, time.monotonic()
        time.sleep(0.05)


def lambda_usage(stack: BenchStack, since_milliseconds: int) -> Counter[str]:
    """Invocations, gigabyte-seconds (the embedded model's separately) and log bytes, read from Lambda's log."""
    logs, found = stack.aws.client("logs"), Counter[str]()
    # The model's time by instance, from an invocation's own log lines until its report follows. An instance has one
    # invocation at a time.
    model_milliseconds = Counter[str]()
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group["logGroupName"], startTime=since_milliseconds
        )
        for event in (event for page in pages for event in page["events"]):
            found["log_byte"] += len(event["message"].encode()) + LOG_EVENT_OVERHEAD_BYTES
            instance = event["logStreamName"]
            if ATTEMPT_ENDED in event["message"]:
                model_milliseconds[instance] += json.loads(event["message"])["latency_ms"]
            if report := REPORT.match(event["message"]):
                gigabytes, model = int(report[2]) / 1024, model_milliseconds.pop(instance, 0)
                found["lambda_request"] += 1
                found["lambda_gigabyte_second"] += (float(report[1]) - model) / 1000 * gigabytes  # pyright: ignore
                found["model_gigabyte_second"] += model / 1000 * gigabytes  # pyright: ignore
    return found


def express_seconds(stack: BenchStack, execution: str) -> float:
    """The billed time of an Express execution, with the model's: in steps of 100 ms."""
    found = stack.aws.client("stepfunctions").describe_execution(executionArn=execution)
    return math.ceil((found["stopDate"] - found["startDate"]).total_seconds() * 10) / 10


def count_transitions(stack: BenchStack, execution: str) -> int:
    """The transitions of an execution: each entered state, each retry, and the end."""
    pages = stack.aws.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution)
    kinds = Counter(str(event["type"]) for page in pages for event in page["events"])
    entered = sum(count for kind, count in kinds.items() if kind.endswith("StateEntered"))
    return entered + max(0, kinds["TaskScheduled"] - kinds["TaskStateEntered"]) + 1
