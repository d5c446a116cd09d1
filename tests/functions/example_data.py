"""Creates the resources that the example events name, in the stores that the functions read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from atelier.adapters.aws.dynamodb.erasures.store import ERASURE, ErasureItem
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, SessionItem, UserItem, session_sk
from atelier.adapters.aws.dynamodb.moderation_queue import MODERATION, FlaggedItemItem
from atelier.adapters.aws.dynamodb.uploads import DynamoUploads
from atelier.adapters.aws.s3 import MediaStore as S3MediaStore
from atelier.adapters.media.keys import upload_key
from atelier.backups.model import Backup, BackupMethod, BackupScope
from atelier.billing.adjustments import Adjustment
from atelier.billing.price_proposals import Proposal
from atelier.catalogue.catalogue import document
from atelier.clock import rfc3339, system_clock
from atelier.deployments.model import DeploymentTarget, SiteDeployment
from atelier.exports.model import Export, ExportDataset, ExportFormat
from atelier.exports.whole_export import WholeExport
from atelier.generations.model import Attempt, AttemptStatus, Generation, Kind, Recipe, asset_id
from atelier.generations.pipelines import StageOptions, build_pipeline
from atelier.generations.ports import TaskCallback
from atelier.generations.submit import Submission, SubmitDeps, submit_generation
from atelier.generations.webhook_token import WebhookAddress
from atelier.identity.api_tokens import TOKEN_LIFETIME_MAX, ApiToken, TokenText
from atelier.identity.model import Credentials, Device, new_user, open_session
from atelier.identity.opening import Opening
from atelier.ids import new_id
from atelier.library.character import Character
from atelier.library.template import Template, TemplateVariable
from atelier.library.upload import Upload
from atelier.moderation.queue import Flag, FlagSource
from atelier.projects.model import WORKSPACE as BUDGET
from atelier.projects.model import Alert, Budget, Project
from atelier.provider_keys.model import ProviderCredentials as Access
from atelier.provider_keys.model import ProviderKey, SealContext
from atelier.provider_port import Accepted
from atelier.settings import LibraryTable, MediaBucket
from atelier.webhook_endpoints.model import (
    DeliveryAttempt,
    DeliveryState,
    Endpoint,
    SigningSecret,
    WebhookDelivery,
)
from atelier.webhook_endpoints.sign import body_of, new_secret
from atelier.wiring import (
    adjustments,
    backups,
    deployments,
    erasures,
    exports,
    generations,
    identity,
    ledger,
    library,
    moderation_queue,
    projects,
    proposals,
    provider_key_store,
    provider_keys,
    webhook_endpoints,
    workflow,
    workspaces,
)
from atelier.wiring.prices import prices
from atelier.workspaces.model import WorkspaceProfile

USER = "usr_01M7XCN60QCB8JGMC722TFVM7C"
OTHER_USER = "usr_01M7XCN60QBBBBBBBBBBBBBBBB"
SESSION = "ses_01M7XCN60QP33GFPHA3AFEB61Q"
WORKSPACE = "wsp_01M7XCN60Q0Z9AH99VAAQWYH99"
GENERATION = "gen_01M7XCQ90TTWV90RHCSAQSAH7Q"
DEPLOYMENT = "dep_01M7XCQ90T4D8K2M6R0V4Z8B3F"
SITE = "sit_01M7XCQ90T4D8K2M6R0V4Z8B3F"
RUN = "gen_01M7XCQ90T5R2V8Y1B4E7H0K3N"
ADJUSTMENT = "adj_01M7XCQ90T4D8K2M6R0V4Z8B3F"
PROPOSAL = "prp_01M7XCQ90T4D8K2M6R0V4Z8B3F"
FLAGGED = "mod_01M7XCQ90T4D8K2M6R0V4Z8B3F"
ATTEMPT = "att_01M7XCQ9FV8XPRB91WYT2YAKNS"
ASSET = asset_id(GENERATION, 0)
KEY = "key_01M7XCN60Q6FWRTBRK8SSNMQ3V"
ORGANIZATION = "wsp_01M7XCN60QTRG4N8C2V6K0B5X9"
PROJECT = "prj_01M7XCN60Q4D8K2M6R0V4Z8B3F"
ALERT = "alr_0QX7H2J5M8R1V4Y6B9D3F0K2N5"
CHARACTER = "chr_01M7XCN60Q7T2V5X8Z1B4D6F9H"
UPLOAD = "ast_01M7XCN60Q5W8Z1C4F7J0M3Q6T"
ERASED_USER = "usr_01M7XCN60QERASEDPERS0N0001"
TEMPLATE = "tpl_01M7XCN60Q3S6V9Y2B5E8G1J4M"
EXPORT = "exp_01M7XCQ90T4D8K2M6R0V4Z8B3F"
WHOLE_EXPORT = "exp_01M7XCQ90T4D8K2M6R0V4Z8B3G"
BACKUP = "bak_01M7XCQ90T4D8K2M6R0V4Z8B3F"
TOKEN = "tok_01M7XCN60Q3T0KENEXAMPQEXX1"
# The API token that example events send; `issue_token` stores its record.
TOKEN_TEXT = "atl_01M7XCN60Q0Z9AH99VAAQWYH9901M7XCN60Q3T0KENEXAMPQEXX1ofTheExampleEventsofTheExampleEventsofTheEx3levci"
WEBHOOK_ENDPOINT = "whe_01M7XCN60Q6FWRTBRK8SSNMQ3V"
WEBHOOK_DELIVERY = "whd_01M7XCN60Q6FWRTBRK8SSNMQ3V"
PROMPT = "a lighthouse at dusk"
# The key that signs the token in the example webhook's path.
ATTEMPTS_KEY = "6578616d706c65206b6579206f6620746865206578616d706c65206576656e74"
# The workspace's own key for Replicate.
OWN_KEY = "r8_0123456789abcdefghijklmnopqrstuvwxyzA"
LIFETIME_MAX = timedelta(hours=2)


def create_account() -> None:
    """Creates the user Ada, her session, and her workspace with a wallet that is still empty."""
    now = system_clock()
    ledger.wallets()
    user, workspace = new_user("of-the-examples@example.com", "Ada", now)
    session, _ = open_session(USER, WORKSPACE, Device("tests", "203.0.113.7"), now)
    identity.accounts().create(
        Credentials(user.email, USER, WORKSPACE, "no hash"),
        replace(user, id=USER, workspace_id=WORKSPACE, email_verified=True, email_verified_at=now),
        replace(workspace, id=WORKSPACE, owner_id=USER),
        Opening(replace(session, id=SESSION)),
    )


@dataclass(frozen=True)
class _FixedIdempotencyKeys:
    """A store of idempotency keys that returns the same id for every key."""

    fixed_id: str

    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str:
        return self.fixed_id

    def find(self, workspace_id: str, key: str) -> str | None:
        return self.fixed_id


def submit_example(*, model: str = "local/canvas", now: datetime | None = None, **parameters: int) -> Generation:
    """Submits the example's generation; it stays queued."""
    recipe = Recipe(Kind.IMAGE, PROMPT, model, None, {"width": 512, "height": 512, "seed": 7, **parameters})
    return _submit_as(Submission(WORKSPACE, USER, recipe, "the example's key"), GENERATION, now)


def submit_run(now: datetime | None = None) -> Generation:
    """Submits the example's run, an image that becomes a video; no stage begins."""
    small = StageOptions("local/canvas", {"width": 64, "height": 64, "seed": 7})
    video = StageOptions("local/film", {"width": 128, "height": 128, "duration_seconds": 1, "fps": 8, "seed": 7})
    pipeline = build_pipeline("image_to_video", {"image": small, "video": video}, None)
    submission = Submission(WORKSPACE, USER, Recipe(Kind.VIDEO, PROMPT), "the example's key", pipeline=pipeline)
    return _submit_as(submission, RUN, now)


def _submit_as(submission: Submission, fixed_id: str, now: datetime | None) -> Generation:
    return submit_generation(
        submission,
        deps=SubmitDeps(
            catalogue=prices(),
            lifetime_max=LIFETIME_MAX,
            wallets=ledger.wallets(),
            generations=generations.store(),
            keys=_FixedIdempotencyKeys(fixed_id),
            budgets=projects.projects(),
            input_asset_store=library.assets(),
            pause=lambda tries: None,
        ),
        now=now or system_clock(),
    ).generation


def start_attempt(generation: Generation, task_token: str | None = None, reference: str | None = None) -> Generation:
    """Starts the example's attempt with the generation's first candidate. task_token: of the waiting state machine,
    stored with the provider's `reference` as the attempt's callback."""
    model = generation.candidates[0]
    attempt = Attempt(ATTEMPT, model.partition("/")[0], model, AttemptStatus.SUBMITTING, system_clock())
    running = generation.with_attempt(attempt)
    generations.store().save_progress(generation, running)
    if task_token:
        callback = TaskCallback(ATTEMPT, task_token, reference)
        generations.store().save_callback(WORKSPACE, generation.id, callback)
    return running


def submit_to_replicate(task_token: str) -> str:
    """Submits the example's generation and its attempt to Replicate (or its simulator); returns the reference."""
    generation = start_attempt(submit_example(model="replicate/sdxl"))
    assert generation.attempt is not None
    attempting = workflow.attempt_deps()
    answer = attempting.providers["replicate"].submit(attempting.job(generation, generation.attempt))
    assert isinstance(answer, Accepted), answer
    generations.store().save_callback(WORKSPACE, GENERATION, TaskCallback(ATTEMPT, task_token, answer.reference))
    return answer.reference


def add_provider_key(name: str = "the first") -> ProviderKey:
    """Stores the example's own provider key."""
    sealed = provider_keys.vault().seal(Access(OWN_KEY), SealContext(WORKSPACE, "replicate", KEY))
    now = system_clock()
    key = ProviderKey(KEY, WORKSPACE, USER, "replicate", name, OWN_KEY[-4:], sealed.record, sealed.kid, now)
    ledger.wallets().mark_own_routes(WORKSPACE)
    provider_key_store.keys().add(key)
    return key


def make_administrator() -> None:
    """Makes the example's user an administrator of the platform, whose session has just proven a second factor, and
    creates the user about whom the examples of administrators are."""
    now = system_clock()
    ledger.wallets()
    user, workspace = new_user("somebody-else@example.com", "Bob", now)
    session, _ = open_session(OTHER_USER, workspace.id, Device("tests", "203.0.113.8"), now)
    identity.accounts().create(
        Credentials(user.email, OTHER_USER, workspace.id, "no hash"),
        replace(user, id=OTHER_USER, email_verified=True, email_verified_at=now),
        replace(workspace, owner_id=OTHER_USER),
        Opening(session),
    )
    # Another administrator has requested a correction.
    adjustments.deps().store.add(
        Adjustment(ADJUSTMENT, WORKSPACE, 5000, "The pictures of a week were broken", OTHER_USER, now), events=()
    )
    before: dict[str, Any] = next(each for each in document()["packs"] if each["id"] == "small@1")
    entry = before | {"id": "small@2", "price": 700}
    proposals.deps().store.add(Proposal(PROPOSAL, "pack", before, entry, "Dearer", OTHER_USER, now), events=())
    create_flagged()
    identity.make_administrator("of-the-examples@example.com", system_clock())
    UserItem(USER, PROFILE).update([UserItem.totp.set("fct_example")])
    SessionItem(USER, session_sk(SESSION)).update([SessionItem.mfa_at.set(rfc3339(system_clock()))])


def create_flagged() -> None:
    """Creates the example's item of the moderation queue."""
    queue, at = moderation_queue.queue(), system_clock()
    queue.flag(Flag(FlagSource.RESULT, WORKSPACE, USER, "hate", "image", "local/canvas", "gen_1", at))
    [item] = FlaggedItemItem.query(MODERATION, consistent_read=True)
    item.delete()
    item.sk = FLAGGED
    item.save()


def create_project(limit_microusd: int | None = 5_000_000, workspace_id: str = WORKSPACE) -> Project:
    """Creates the example's project, without generations, and the example's alerts about it and the workspace."""
    now = system_clock()
    project = Project(PROJECT, workspace_id, USER, "Harbour lights", now, now)
    store = projects.projects()
    store.create(project, Budget(workspace_id, PROJECT, limit_microusd))
    for budget in (PROJECT, BUDGET):
        store.raise_alert(Alert(ALERT, workspace_id, budget, 80, 5_000_000, 4_000_000, now))
    return project


def create_organization() -> WorkspaceProfile:
    """Creates the organisation of the examples, whose owner is their user."""
    now = system_clock()
    organization = WorkspaceProfile(ORGANIZATION, "organization", "Atlas Films", USER, now, now, slug="atlas-films")
    workspaces.workspaces().create(organization)
    return organization


def create_character(workspace_id: str = WORKSPACE) -> Character:
    """Creates the example's character, with the example's asset as its image."""
    now = system_clock()
    character = Character(CHARACTER, workspace_id, USER, "Mira", (ASSET,), now, now, age=31, style="linocut")
    library.characters().create(character)
    return character


def create_template(workspace_id: str = WORKSPACE) -> Template:
    """Creates the example's template."""
    now = system_clock()
    variables = (TemplateVariable("thing"), TemplateVariable("mood", "calm"))
    template = Template(
        TEMPLATE, workspace_id, USER, "At dusk", "image", "a {{thing}} at dusk, {{mood}}", now, now,
        model="local/canvas", parameters={"width": 256, "height": 256}, variables=variables,
    )  # fmt: skip
    library.templates().create(template)
    return template


def add_api_token(*scopes: str) -> ApiToken:
    """Stores the example's API token; its scopes are ("all",) unless some are given."""
    now = system_clock()
    digest = TokenText.parse(TOKEN_TEXT).digest
    token = ApiToken(TOKEN, WORKSPACE, USER, "n8n", scopes or ("all",), digest, now, now + TOKEN_LIFETIME_MAX)
    identity.api_tokens().add_token(token)
    return token


def create_upload(data: bytes, workspace_id: str = WORKSPACE, content_type: str = "image/png") -> Upload:
    """Creates the example's upload and stores its file."""
    upload = Upload(UPLOAD, workspace_id, USER, "harbour.png", content_type, len(data), system_clock())
    uploads = DynamoUploads()
    uploads.bind(LibraryTable.read().name)
    uploads.create(upload)
    S3MediaStore(MediaBucket.read().bucket).put(upload_key(workspace_id, UPLOAD), data, content_type)
    return upload


def stored_generation() -> Generation:
    """The example's generation as it is stored now."""
    return generations.store().get(WORKSPACE, GENERATION)


def movement_kinds() -> list[str]:
    """The kinds of the wallet's movements, newest first, after a check that each one's entries sum to zero. The daily
    grant is put last: it is dated today, while the example's generation is dated by its id."""
    found = ledger.wallets().movements(WORKSPACE, None, 100).movements
    assert all(sum(entry.amount for entry in movement.entries) == 0 for movement in found)
    return sorted((movement.kind for movement in found), key=lambda kind: kind == "grant")


def webhook_address() -> WebhookAddress:
    """The attempt that the example webhook's token names."""
    return WebhookAddress("replicate", WORKSPACE, GENERATION, ATTEMPT)


def create_export() -> Export:
    """A requested export of the workspace's generations."""
    now = system_clock()
    dataset, format = ExportDataset.GENERATIONS, ExportFormat.CSV
    export = Export(EXPORT, WORKSPACE, USER, dataset, format, now - timedelta(days=1), now, now, now)
    exports.store().create(export, 3, [])
    return export


def create_deployment() -> None:
    """A deployment of a site that is gone, so that its job only ends it."""
    now = system_clock()
    new = SiteDeployment(
        DEPLOYMENT, WORKSPACE, SITE, USER, DeploymentTarget.CLOUDFRONT, now, "https://harbour.sites.example.com"
    )
    deployments.store().create(new, now, ())


def create_whole_export() -> WholeExport:
    """An export of everything that was requested so long ago that another one may be requested."""
    at = system_clock() - timedelta(days=2)
    export = WholeExport(WHOLE_EXPORT, WORKSPACE, USER, True, at)
    exports.whole_store().create(export, at - timedelta(days=1), [])
    return export


def begin_erasure() -> None:
    """The erasure of an account of which nothing is left."""
    erasures.store()
    at = rfc3339(system_clock())
    ErasureItem(
        ERASED_USER, ERASURE, subject=ERASED_USER, workspace_id="wsp_01M7XCN60QERASEDPERS0N0001", claimed_at=at
    ).save()


def create_backup() -> None:
    """Records the example's backup, which is being written."""
    now = system_clock()
    new = Backup(BACKUP, BackupScope.DAILY, BackupMethod.SEGMENTS, "backups", now, now, ("media/0/1",))
    backups.records().create(new)


def create_webhook_endpoint(
    workspace_id: str = WORKSPACE, url: str = "https://8.8.8.8/hooks", **fields: Any
) -> Endpoint:
    """An endpoint for webhooks, with a delivery that has failed."""
    now = system_clock()
    secret = SigningSecret(webhook_endpoints.sealer().seal(new_secret(), workspace_id, WEBHOOK_ENDPOINT))
    endpoint = Endpoint(WEBHOOK_ENDPOINT, workspace_id, USER, url, ("*",), "n8n", secret, now, now, **fields)
    webhook_endpoints.endpoints().create(endpoint, [])
    delivery = WebhookDelivery(
        WEBHOOK_DELIVERY,
        workspace_id,
        WEBHOOK_ENDPOINT,
        f"{GENERATION}#succeeded",
        "generation.succeeded",
        body_of("generation.succeeded", rfc3339(now), {"generation_id": GENERATION}),
        now,
        DeliveryState.FAILED,
        attempts=(DeliveryAttempt(new_id("whr", now), now, 20, 500, None, "oops"),),
        attempt_count=1,
    )
    webhook_endpoints.deliveries().add(delivery)
    return endpoint
