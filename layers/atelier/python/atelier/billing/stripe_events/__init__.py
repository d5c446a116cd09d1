"""What each type of Stripe's events leads to. The file of a type has its name, with two underscores for each dot:
`invoice.payment_failed` is handled by `invoice__payment_failed.py`."""
