#!/bin/sh
# The least rights a bridge needs in Kafka (brokers from 2.8 on; older ones also want IdempotentWrite on the cluster).
#
#   BOOTSTRAP=HOST:9092 PRINCIPAL=User:job-bridge TOPIC=job-transitions sh config/kafka-acls.sh --command-config admin.properties
#
# Topics are made by an administrator ('job-bridge topics create' needs Create on them besides).
set -eu
BOOTSTRAP=${BOOTSTRAP:-localhost:9092}
PRINCIPAL=${PRINCIPAL:-User:job-bridge}
TOPIC=${TOPIC:-job-transitions}

allow() {
    kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --add --force --allow-principal "$PRINCIPAL" "$@"
}

# Needed: to see that the topic is there, and to send. The dead letters' topic the same.
allow --operation Describe --operation Write --topic "$TOPIC" "$@"
allow --operation Describe --operation Write --topic "$TOPIC-dlq" "$@"

# Optional: lets 'job-bridge verify' (and verify.every) and 'job-bridge dead-letters' read the topics back; no group is used.
allow --operation Read --topic "$TOPIC" "$@"
allow --operation Read --topic "$TOPIC-dlq" "$@"

# Optional: tells max.message.bytes, so that a larger message is set aside in its place; without it Kafka's default is assumed.
allow --operation DescribeConfigs --topic "$TOPIC" "$@"
allow --operation DescribeConfigs --topic "$TOPIC-dlq" "$@"
