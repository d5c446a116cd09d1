"""The executions of generations, and the webhooks that they wait for, composed for those who only look at them."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.dynamodb.inbox import DynamoInbox
from atelier.adapters.aws.stepfunctions import StepFunctionsWorkflow
from atelier.settings import GenerateMedia, GenerateMediaExpress, InboxTable, RunPipeline


@cache
def inbox() -> DynamoInbox:
    """The store of received webhooks."""
    kept = DynamoInbox()
    kept.bind(InboxTable.read().name)
    return kept


@cache
def workflow() -> StepFunctionsWorkflow:
    """The executions of generate_media, its Express form, and run_pipeline."""
    return StepFunctionsWorkflow(GenerateMedia.read().arn, RunPipeline.read().arn, GenerateMediaExpress.read().arn)
