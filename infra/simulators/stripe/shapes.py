"""A fresh object of each kind: its fields in the pinned API version, as they are until something sets them."""

from __future__ import annotations

from typing import Any

from infra.simulators.stripe.billing_shapes import BILLING_SHAPES

ADDRESS: dict[str, Any] = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
NO_TAX: dict[str, Any] = {"enabled": False, "liability": None, "provider": None, "status": None}
DISABLED: dict[str, Any] = {"enabled": False}


def names_of(text: str) -> tuple[str, ...]:
    """The words of a text, as the names of fields."""
    return tuple(text.split())


def _nulls(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split())


SHAPES: dict[str, dict[str, Any]] = {
    **BILLING_SHAPES,
    "customer": {
        **_nulls("address currency default_source description discount email name phone shipping test_clock"),
        "customer_account": None,
        "balance": 0,
        "created": 0,
        "delinquent": False,
        "invoice_prefix": "",
        "invoice_settings": {
            **_nulls("custom_fields default_payment_method footer"),
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    },
    "product": {
        **_nulls("default_price description package_dimensions shippable statement_descriptor tax_code unit_label url"),
        "active": True,
        "created": 0,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": "",
        "type": "service",
        "updated": 0,
    },
    "price": {
        **_nulls("custom_unit_amount lookup_key nickname recurring tiers_mode transform_quantity"),
        "active": True,
        "billing_scheme": "per_unit",
        "created": 0,
        "currency": "usd",
        "livemode": False,
        "metadata": {},
        "product": "",
        "tax_behavior": "unspecified",
        "type": "one_time",
        "unit_amount": None,
        "unit_amount_decimal": None,
    },
    "coupon": {
        **_nulls("amount_off currency duration_in_months max_redemptions name percent_off redeem_by"),
        "created": 0,
        "duration": "once",
        "livemode": False,
        "metadata": {},
        "times_redeemed": 0,
        "valid": True,
    },
    "promotion_code": {
        **_nulls("customer customer_account expires_at max_redemptions"),
        "active": True,
        "code": "",
        "created": 0,
        "livemode": False,
        "metadata": {},
        "promotion": {"coupon": None, "type": "coupon"},
        "restrictions": {
            "first_time_transaction": False,
            "minimum_amount": None,
            "minimum_amount_currency": None,
        },
        "times_redeemed": 0,
    },
    "discount": {
        **_nulls("checkout_session customer customer_account end invoice invoice_item promotion_code subscription"),
        "subscription_item": None,
        "source": {"coupon": None, "type": "coupon"},
        "start": 0,
    },
    "payment_method": {
        **_nulls("customer customer_account"),
        "allow_redisplay": "unspecified",
        "billing_details": {"address": dict(ADDRESS), **_nulls("email name phone tax_id")},
        "created": 0,
        "livemode": False,
        "metadata": {},
        "type": "card",
    },
    "payment_intent": {
        **_nulls(
            "application application_fee_amount automatic_payment_methods canceled_at cancellation_reason customer"
        ),
        **_nulls(
            "customer_account description last_payment_error latest_charge next_action on_behalf_of payment_method"
        ),
        **_nulls(
            "payment_method_configuration_details processing receipt_email review setup_future_usage shipping source"
        ),
        **_nulls("excluded_payment_method_types managed_payments statement_descriptor statement_descriptor_suffix"),
        **_nulls("transfer_data transfer_group"),
        "amount": 0,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": "",
        "confirmation_method": "automatic",
        "created": 0,
        "currency": "usd",
        "livemode": False,
        "metadata": {},
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
    },
    "setup_intent": {
        **_nulls("application automatic_payment_methods cancellation_reason customer customer_account description"),
        **_nulls("flow_directions last_setup_error latest_attempt mandate next_action on_behalf_of payment_method"),
        **_nulls("excluded_payment_method_types payment_method_configuration_details single_use_mandate"),
        "client_secret": "",
        "created": 0,
        "livemode": False,
        "metadata": {},
        "payment_method_options": {
            "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
        },
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": "off_session",
    },
    "charge": {
        **_nulls("application application_fee application_fee_amount balance_transaction customer description"),
        **_nulls("failure_balance_transaction failure_code failure_message on_behalf_of outcome payment_intent"),
        **_nulls(
            "payment_method payment_method_details receipt_email receipt_number receipt_url review shipping source"
        ),
        **_nulls("source_transfer statement_descriptor statement_descriptor_suffix transfer_data transfer_group"),
        "amount": 0,
        "amount_captured": 0,
        "amount_refunded": 0,
        "billing_details": {"address": dict(ADDRESS), **_nulls("email name phone tax_id")},
        "calculated_statement_descriptor": "SIMULATOR",
        "captured": True,
        "created": 0,
        "currency": "usd",
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "paid": False,
        "radar_options": {},
        "refunded": False,
        "status": "failed",
    },
    "balance_transaction": {
        **_nulls("description exchange_rate source"),
        "amount": 0,
        "available_on": 0,
        "balance_type": "payments",
        "created": 0,
        "currency": "usd",
        "fee": 0,
        "fee_details": [],
        "net": 0,
        "reporting_category": "charge",
        "status": "pending",
        "type": "charge",
    },
    "refund": {
        **_nulls("balance_transaction charge customer customer_account payment_intent payment_method reason"),
        **_nulls("receipt_number source_transfer_reversal transfer_reversal"),
        "amount": 0,
        "created": 0,
        "currency": "usd",
        "destination_details": {
            "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
            "type": "card",
        },
        "metadata": {},
        "status": "pending",
    },
    "dispute": {
        **_nulls("payment_intent payment_method_details"),
        "amount": 0,
        "balance_transactions": [],
        "charge": "",
        "created": 0,
        "currency": "usd",
        "enhanced_eligibility_types": [],
        "evidence": {},
        "evidence_details": {},
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "reason": "fraudulent",
        "status": "needs_response",
    },
    "radar.early_fraud_warning": {
        "actionable": True,
        "charge": "",
        "created": 0,
        "fraud_type": "misc",
        "livemode": False,
        "payment_intent": None,
    },
    "checkout.session": {
        **_nulls("after_expiration allow_promotion_codes amount_subtotal amount_total billing_address_collection"),
        **_nulls(
            "cancel_url client_reference_id client_secret collected_information consent consent_collection currency"
        ),
        **_nulls("currency_conversion customer customer_account customer_creation customer_details customer_email"),
        **_nulls(
            "integration_identifier invoice invoice_creation locale managed_payments origin_context payment_intent"
        ),
        **_nulls("payment_link payment_method_configuration_details permissions recovered_from setup_intent"),
        **_nulls("saved_payment_method_options shipping_address_collection shipping_cost submit_type subscription"),
        **_nulls("success_url total_details url wallet_options"),
        "adaptive_pricing": {"enabled": False},
        "automatic_tax": dict(NO_TAX),
        "created": 0,
        "custom_fields": [],
        "custom_text": _nulls("after_submit shipping_address submit terms_of_service_acceptance"),
        "discounts": [],
        "expires_at": 0,
        "livemode": False,
        "metadata": {},
        "mode": "payment",
        "payment_method_collection": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "phone_number_collection": dict(DISABLED),
        "shipping_options": [],
        "status": "open",
        "tax_id_collection": {"enabled": False, "required": "never"},
        "ui_mode": "hosted_page",
    },
    "webhook_endpoint": {
        **_nulls("api_version application description"),
        "created": 0,
        "enabled_events": [],
        "livemode": False,
        "metadata": {},
        "status": "enabled",
        "url": "",
    },
    "test_helpers.test_clock": {
        "name": None,
        "created": 0,
        "deletes_after": 0,
        "frozen_time": 0,
        "livemode": False,
        "status": "ready",
        "status_details": {},
    },
}
