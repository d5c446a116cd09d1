"""Amazon SES: sends one mail at a time."""

from __future__ import annotations

from atelier.adapters.aws.clients import client
from atelier.mails.mail import MailMessage
from atelier.mails.ports import MailRejected

SENDER_NAME = "Atelier"
# Error codes of a mail that SES never takes: its content or its address, or a sender that is not verified.
REJECTIONS = ("BadRequestException", "MessageRejected", "MailFromDomainNotVerifiedException")


class SesMailer:
    """Mailer on SES. sender: the address that mails come from. configuration_set: where bounces and complaints
    are reported; empty = nowhere."""

    def __init__(self, sender: str, configuration_set: str) -> None:
        self._sender = f"{SENDER_NAME} <{sender}>"
        self._configuration_set = configuration_set

    def send(self, message: MailMessage) -> None:
        from botocore.exceptions import ClientError

        try:
            client("sesv2").send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [message.to]},
                Content={
                    "Simple": {
                        "Subject": _text(message.subject),
                        "Body": {"Text": _text(message.text), "Html": _text(message.html)},
                        **({"Headers": _headers(message)} if message.headers else {}),
                    }
                },
                **({"ConfigurationSetName": self._configuration_set} if self._configuration_set else {}),
            )
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in REJECTIONS:
                # The service's text may contain the address.
                raise MailRejected(code) from None
            raise


def _headers(message: MailMessage) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in message.headers.items()]


def _text(data: str) -> dict[str, str]:
    return {"Data": data, "Charset": "UTF-8"}


def mailer_of(sender: str, configuration_set: str) -> SesMailer | None:
    """The mailer of a deployment; None where no sender is set."""
    return SesMailer(sender, configuration_set) if sender else None
