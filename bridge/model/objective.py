"""The objective of a bridge, which the alerts, the status page and ``verify`` count.

99.9 % of the transitions are in Kafka within a second of their commit.
"""

SHARE = 0.999
SECONDS = 1.0
