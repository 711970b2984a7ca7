#!/bin/sh
# The minimal ACLs of a bridge in Kafka 2.8 or later. Older brokers also require IdempotentWrite on the cluster.
#
#   job-bridge config rights kafka > kafka-acls.sh
#   BOOTSTRAP=HOST:9092 PRINCIPAL=User:job-bridge TOPIC=job-transitions sh kafka-acls.sh --command-config admin.properties
#
# NAME is checkpoint.name; only checkpoint.store = kafka (which delivery.mode = exactly-once needs) uses it.
#
# An administrator creates the topics; 'job-bridge topics create' also needs Create on them.
set -eu
BOOTSTRAP=${BOOTSTRAP:-localhost:9092}
PRINCIPAL=${PRINCIPAL:-User:job-bridge}
TOPIC=${TOPIC:-job-transitions}
NAME=${NAME:-cdmtaskservice.jobs}

allow() {
    kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --add --force --allow-principal "$PRINCIPAL" "$@"
}

# Required: to check that the topic exists, and to send. The same for the dead-letter topic.
allow --operation Describe --operation Write --topic "$TOPIC" "$@"
allow --operation Describe --operation Write --topic "$TOPIC-dlq" "$@"

# Optional: kafka.read_back reads the topic after a crash, so that nothing in it is sent again; 'job-bridge verify' (and
# verify.every) and 'job-bridge dead-letters' read both topics. No consumer group is used.
allow --operation Read --topic "$TOPIC" "$@"
allow --operation Read --topic "$TOPIC-dlq" "$@"

# Optional: to read max.message.bytes, so that a larger message is dead-lettered before it is sent. Without it, Kafka's default
# is assumed. 'job-bridge check' and 'verify' also read cleanup.policy, min.insync.replicas and retention.ms.
allow --operation DescribeConfigs --topic "$TOPIC" "$@"
allow --operation DescribeConfigs --topic "$TOPIC-dlq" "$@"

# Required with checkpoint.store = kafka: the position in the state topic, the consumer group that decides which bridge owns it, and two
# transactional ids, used in turn, that keep a former owner out. Only bridges should have Write on the state topic: a record there moves the position.
allow --operation Describe --operation Read --operation Write --topic "$TOPIC-bridge-state" "$@"
allow --operation Read --group "job-bridge-$NAME" "$@"
allow --operation Describe --operation Write --transactional-id "job-bridge-$NAME" "$@"
allow --operation Describe --operation Write --transactional-id "job-bridge-$NAME/2" "$@"

# Optional with checkpoint.store = kafka: 'job-bridge check' reads cleanup.policy, min.insync.replicas and segment.bytes.
allow --operation DescribeConfigs --topic "$TOPIC-bridge-state" "$@"
