#!/bin/sh
# The least rights of a bridge in Kafka (brokers before 2.8 also require IdempotentWrite on the cluster).
#
#   BOOTSTRAP=HOST:9092 PRINCIPAL=User:job-bridge TOPIC=job-transitions sh config/kafka-acls.sh --command-config admin.properties
#
# An administrator creates the topics; 'job-bridge topics create' also needs Create on them.
set -eu
BOOTSTRAP=${BOOTSTRAP:-localhost:9092}
PRINCIPAL=${PRINCIPAL:-User:job-bridge}
TOPIC=${TOPIC:-job-transitions}

allow() {
    kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --add --force --allow-principal "$PRINCIPAL" "$@"
}

# Required: to find the topics and to send.
allow --operation Describe --operation Write --topic "$TOPIC" "$@"
allow --operation Describe --operation Write --topic "$TOPIC-dlq" "$@"

# Optional: for 'job-bridge verify', verify.every and 'job-bridge dead-letters'. No consumer group is used.
allow --operation Read --topic "$TOPIC" "$@"
allow --operation Read --topic "$TOPIC-dlq" "$@"

# Optional: to read max.message.bytes. Without it the bridge assumes Kafka's default.
allow --operation DescribeConfigs --topic "$TOPIC" "$@"
allow --operation DescribeConfigs --topic "$TOPIC-dlq" "$@"
