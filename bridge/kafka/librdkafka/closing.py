"""Closes consumers without waiting for a broker that does not answer."""

import logging
import threading

from confluent_kafka import Consumer, KafkaException

logger = logging.getLogger(__name__)


def close_within(consumer: Consumer, seconds: float) -> None:
    """Close ``consumer``; after ``seconds`` it is left to a daemon thread, which closes it later.

    Closing serves the consumer's callbacks on that thread.
    """
    closing = threading.Thread(target=_close, args=(consumer,), name="close-consumer", daemon=True)
    closing.start()
    closing.join(seconds)


def _close(consumer: Consumer) -> None:
    try:
        if not consumer.assignment():
            # Closing a member without partitions sends no LeaveGroup request (librdkafka 2.16), and
            # the next rebalance waits until the session of that member ends. A member with
            # partitions leaves by itself, unless it is static (KIP-345).
            consumer.unsubscribe()
        consumer.close()
    except (KafkaException, RuntimeError) as error:  # the process ends, or makes another client
        logger.debug("closing a consumer: %s", error)
