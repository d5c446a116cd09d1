"""The billing table.

pk wsp_…             sk customer                    the workspace as Stripe's customer
                     sk subscription                its one subscription, or the last one that it had
                     sk claim#sub_…                 a subscription of Stripe: claimed or refused, for ever
                     sk chk_…                       a checkout: what was promised
                     sk credits#in_…                the credits of an invoice, decided once
                     sk invoice#<time>#in_…         invoices and payments, for the buyer and for revenue
                     sk payment#<time>#pi_…
pk stripe#cus_…      sk customer                    the workspace of one of Stripe's customers
pk trial#<digest>    sk trial                       the workspace that has had the trial of a mailbox
pk reconciliation    sk until                       up to when Stripe has been compared with these records, and how far
                                                    the present comparison has come
"""
