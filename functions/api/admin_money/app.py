"""Wallets and the price list, for administrators of the platform."""

from __future__ import annotations

from functools import partial

from atelier import cursors
from atelier.billing import adjustments as _adjustments
from atelier.billing import freeze_wallet as _freeze
from atelier.billing.admin_schemas import (
    CURSOR_PREFIX,
    AdjustmentEnvelope,
    AdjustmentList,
    AdjustmentQuery,
    AdjustRequest,
    AdminWalletEnvelope,
    EndEscrowRequest,
    FreezeRequest,
    OrphanedEscrowList,
    adjustment_envelope,
    adjustment_list,
    admin_wallet,
    orphaned_escrow_list,
    payment_id_of,
    required_key,
    status_of,
)
from atelier.billing.end_orphaned_escrow import end_orphaned_escrow, list_orphaned_escrows
from atelier.billing.price_proposals import propose, publish, withdraw
from atelier.billing.price_schemas import (
    PROPOSAL_CURSOR,
    AdminTierList,
    ProposalEnvelope,
    ProposalList,
    ProposalQuery,
    ProposeRequest,
    PublishRequest,
    PublishView,
    proposal_envelope,
    proposal_list,
    publish_view,
)
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.ledger.prove import cursor_after, position_of
from atelier.ledger.schemas import ProofQuery, ProofView, StatementQuery, StatementView, statement_view
from atelier.wiring import adjustments, auth, ledger, proposals, seals

api = Api("admin", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", permission="platform.read")
act = partial(api.route, "POST", permission="platform.act", step_up=True, errors=(404, 503))
WALLET, ADJUSTMENT = "/api/admin/wallets/<workspace_id>", "/api/admin/adjustments/<adjustment_id>"

PROPOSALS, PROPOSAL = "/api/admin/tiers/proposals", "/api/admin/tiers/proposals/<proposal_id>"


@read(WALLET, answer=AdminWalletEnvelope, errors=(404,))
def get_wallet(request: Request[Empty]) -> Response:
    """Get a workspace's wallet."""
    return Response(admin_wallet(ledger.wallets().wallet(request.path_id("workspace_id", "wsp")), request.now))


@read(f"{WALLET}/entries", query=StatementQuery, answer=StatementView)
def list_entries(request: Request[Empty]) -> Response:
    """List the entries of a workspace's wallet, newest first."""
    workspace_id, after = request.path_id("workspace_id", "wsp"), cursors.decode(request.query.cursor, "movement#")
    return Response(statement_view(ledger.wallets().movements(workspace_id, after, request.query.limit)))


@read(f"{WALLET}/proof", query=ProofQuery, answer=ProofView, errors=(404, 503))
def get_proof(request: Request[Empty]) -> Response:
    """Get the proof of a workspace's wallet, for the verifier that works offline."""
    workspace_id, position = request.path_id("workspace_id", "wsp"), position_of(request.query.cursor)
    page, next_position = seals.proof(workspace_id, position, request.now)
    return Response({**page, "next_cursor": cursor_after(next_position)})


@act(
    f"{WALLET}/adjust", body=AdjustRequest, answer=AdjustmentEnvelope, statuses=(201, 202), errors=(402, 404, 409, 503)
)
def adjust_wallet(request: Request[AdjustRequest]) -> Response:
    """Give or take credits, with a reason. Above a limit a day it waits (202) for another administrator's approval."""
    new = request.body.new(request.path_id("workspace_id", "wsp"), required_key(request.idempotency_key))
    made, replayed = _adjustments.request_adjustment(new, request.origin, deps=adjustments.deps(), now=request.now)
    envelope, status = adjustment_envelope(made), status_of(made)
    return created(f"/api/admin/adjustments/{made.id}", envelope, replayed=replayed, status=status)


@act(f"{WALLET}/freeze", body=FreezeRequest, answer=AdminWalletEnvelope)
def freeze_wallet(request: Request[FreezeRequest]) -> Response:
    """Freeze a wallet: nothing new starts, and what runs ends and is settled."""
    workspace_id, reason = request.path_id("workspace_id", "wsp"), request.body.reason
    wallet = _freeze.freeze_wallet(workspace_id, reason, request.origin, freezer=adjustments.freezer(), now=request.now)
    return Response(admin_wallet(wallet, request.now))


@act(f"{WALLET}/unfreeze", answer=AdminWalletEnvelope)
def unfreeze_wallet(request: Request[Empty]) -> Response:
    """Let a wallet's credits be spent again."""
    workspace_id = request.path_id("workspace_id", "wsp")
    wallet = _freeze.unfreeze_wallet(workspace_id, request.origin, freezer=adjustments.freezer(), now=request.now)
    return Response(admin_wallet(wallet, request.now))


@read(f"{WALLET}/orphaned-escrows", answer=OrphanedEscrowList, errors=(404,))
def list_orphaned(request: Request[Empty]) -> Response:
    """List a wallet's orphaned escrows: credits that are held for what does not wait for them, after a restore."""
    workspace_id, deps = request.path_id("workspace_id", "wsp"), adjustments.orphaned_escrows()
    return Response(orphaned_escrow_list(list_orphaned_escrows(workspace_id, deps=deps, now=request.now)))


@act(
    f"{WALLET}/orphaned-escrows/<payment_id>/end",
    body=EndEscrowRequest,
    answer=AdminWalletEnvelope,
    errors=(404, 409, 503),
)
def end_orphaned(request: Request[EndEscrowRequest]) -> Response:
    """Give the credits of an orphaned escrow back to the wallet that holds them."""
    workspace_id, payment_id = request.path_id("workspace_id", "wsp"), payment_id_of(request.path["payment_id"])
    reason, deps = request.body.reason, adjustments.orphaned_escrows()
    wallet = end_orphaned_escrow(workspace_id, payment_id, reason, request.origin, deps=deps, now=request.now)
    return Response(admin_wallet(wallet, request.now))


@read("/api/admin/adjustments", query=AdjustmentQuery, answer=AdjustmentList)
def list_adjustments(request: Request[Empty]) -> Response:
    """List adjustments of wallets, newest first; those that wait with `state=pending`."""
    query: AdjustmentQuery = request.query
    after = cursors.decode(query.cursor, CURSOR_PREFIX)
    return Response(adjustment_list(adjustments.deps().store.page(query.state, after, query.limit)))


@read(ADJUSTMENT, answer=AdjustmentEnvelope, errors=(404,))
def get_adjustment(request: Request[Empty]) -> Response:
    """Get an adjustment of a wallet."""
    return Response(adjustment_envelope(adjustments.deps().store.get(request.path_id("adjustment_id", "adj"))))


@act(f"{ADJUSTMENT}/approve", answer=AdjustmentEnvelope, errors=(402, 404, 409, 503))
def approve_adjustment(request: Request[Empty]) -> Response:
    """Apply an adjustment that another administrator requested."""
    id = request.path_id("adjustment_id", "adj")
    made = _adjustments.approve_adjustment(id, request.origin, deps=adjustments.deps(), now=request.now)
    return Response(adjustment_envelope(made))


@act(f"{ADJUSTMENT}/reject", answer=AdjustmentEnvelope, errors=(404, 409, 503))
def reject_adjustment(request: Request[Empty]) -> Response:
    """Reject an adjustment that waits, or take back one's own."""
    id = request.path_id("adjustment_id", "adj")
    made = _adjustments.reject_adjustment(id, request.origin, deps=adjustments.deps(), now=request.now)
    return Response(adjustment_envelope(made))


@read("/api/admin/tiers", answer=AdminTierList)
def list_all_tiers(request: Request[Empty]) -> Response:
    """List all versions of tiers and packs, sold or not."""
    return Response(proposals.list_tiers())


@act(PROPOSALS, body=ProposeRequest, answer=ProposalEnvelope, statuses=(201,), errors=(404, 409, 503))
def propose_version(request: Request[ProposeRequest]) -> Response:
    """Propose the next version of a tier or pack by what differs in it."""
    body, deps = request.body, proposals.deps()
    made, replayed = propose(body.name, body.changes, body.reason, request.origin, deps=deps, now=request.now)
    return created(f"/api/admin/tiers/proposals/{made.id}", proposal_envelope(made), replayed=replayed)


@read(PROPOSALS, query=ProposalQuery, answer=ProposalList)
def list_proposals(request: Request[Empty]) -> Response:
    """List proposed versions, newest first."""
    query: ProposalQuery = request.query
    after = cursors.decode(query.cursor, PROPOSAL_CURSOR)
    return Response(proposal_list(proposals.deps().store.page(after, query.limit)))


@read(PROPOSAL, answer=ProposalEnvelope, errors=(404,))
def get_proposal(request: Request[Empty]) -> Response:
    """Get a proposed version, with its differences to the present one."""
    return Response(proposal_envelope(proposals.deps().store.get(request.path_id("proposal_id", "prp"))))


@api.route("DELETE", PROPOSAL, permission="platform.act", step_up=True, answer=ProposalEnvelope, errors=(404, 409, 503))
def withdraw_proposal(request: Request[Empty]) -> Response:
    """Withdraw a proposed version."""
    id = request.path_id("proposal_id", "prp")
    return Response(proposal_envelope(withdraw(id, request.origin, deps=proposals.deps(), now=request.now)))


@act(f"{PROPOSAL}/publish", body=PublishRequest, answer=PublishView, errors=(404, 409, 503))
def publish_proposal(request: Request[PublishRequest]) -> Response:
    """Put a version on sale that another administrator proposed, or say what that would change at Stripe."""
    id, apply = request.path_id("proposal_id", "prp"), request.body.apply
    return Response(publish_view(*publish(id, request.origin, apply=apply, deps=proposals.deps(), now=request.now)))
