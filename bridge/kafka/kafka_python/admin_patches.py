"""An admin client that checks the right to write with a transactional id.

No client has a public request for it; see :mod:`bridge.kafka.kafka_python.patches` for the guard of
the private names.
"""

from typing import Any

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.protocol.metadata.find_coordinator import CoordinatorType
from kafka.protocol.producer.transaction import EndTxnRequest

#: No producer has this id, so no transaction ends.
_NO_PRODUCER_ID = -1
_NO_EPOCH = -1
#: The answer does not depend on the version; the newest are for another transaction protocol.
_MAX_VERSION = 3


class TransactionAdmin(KafkaAdminClient):  # type: ignore[misc]  # it has no types
    """See the module."""

    def may_use_transactional_id(self, transactional_id: str) -> bool:
        """Whether this user has ``Describe`` and ``Write`` on the id; changes nothing.

        The broker checks ``Write`` before it compares the producer's id. Raises ``KafkaError`` when
        there is no coordinator.
        """
        code: int = self._manager.run(self._end_no_transaction, transactional_id)
        return code != kafka_errors.TransactionalIdAuthorizationFailedError.errno

    async def _end_no_transaction(self, transactional_id: str) -> int:
        try:
            coordinators = await self._find_coordinator_ids(
                [transactional_id], key_type=CoordinatorType.TRANSACTION
            )
        except kafka_errors.TransactionalIdAuthorizationFailedError as error:
            return int(error.errno)
        request = EndTxnRequest(
            transactional_id=transactional_id,
            producer_id=_NO_PRODUCER_ID,
            producer_epoch=_NO_EPOCH,
            committed=False,
            max_version=_MAX_VERSION,
        )
        response: Any = await self._manager.send(request, node_id=coordinators[transactional_id])
        return int(response.error_code)
