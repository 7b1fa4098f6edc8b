#!/usr/bin/env bash
# The topics, their dead-letter topics, and who may publish.
. deploy/names.sh

# shared/events.py says what each function publishes where; tenants also sends what was set aside back to its topic.
declare -A PUBLISHERS=([auth-events]='auth tenants' [billing-events]='billing tenants' [tenant-events]='billing tenants')

for topic in "${TOPICS[@]}"; do
  for name in "$topic" "$topic-dead-letter"; do
    gcloud pubsub topics describe "$name" >/dev/null 2>&1 ||
      gcloud pubsub topics create "$name" --labels="environment=$ENVIRONMENT"
  done
  for function in ${PUBLISHERS[$topic]}; do
    gcloud pubsub topics add-iam-policy-binding "$topic" \
      --member="serviceAccount:$(account "$function")" --role=roles/pubsub.publisher >/dev/null
  done
  # Pub/Sub itself moves a message to the dead letters.
  gcloud pubsub topics add-iam-policy-binding "$topic-dead-letter" \
    --member="serviceAccount:$(agent pubsub)" --role=roles/pubsub.publisher >/dev/null
done
