#!/usr/bin/env bash
# Retries, retention and dead letters of the subscriptions that Eventarc made, which neither it nor
# `functions deploy` can set; and the subscriptions that push dead letters to the same event door.
. deploy/names.sh

# 32 tries, 10 s to 10 min apart, outlast an outage of four hours: the longest that we promise.
retries=(--min-retry-delay=10s --max-retry-delay=600s)
# The event door gives up after 25 s; a message comes again when nobody answered for twice as long and more.
kept=(--ack-deadline=120 --message-retention-duration=7d --expiration-period=never)

for service in "${EVENT_SERVICES[@]}"; do
  topic=${TOPIC_OF[$service]}
  subscription=$(subscription_of "$service")
  gcloud pubsub subscriptions add-iam-policy-binding "$subscription" \
    --member="serviceAccount:$(agent pubsub)" --role=roles/pubsub.subscriber >/dev/null
  gcloud pubsub subscriptions update "$subscription" "${retries[@]}" "${kept[@]}" \
    --dead-letter-topic="$topic-dead-letter" --max-delivery-attempts=32

  dead_letters=$topic-dead-letter-push
  address=$(address_of "$service")
  audience=$(audience_of "$subscription")
  push=(
    --push-endpoint="$address/" --push-auth-service-account="$(account events)"
    --push-auth-token-audience="$audience"
  )
  if gcloud pubsub subscriptions describe "$dead_letters" >/dev/null 2>&1; then
    gcloud pubsub subscriptions update "$dead_letters" "${push[@]}" "${retries[@]}" "${kept[@]}"
  else
    gcloud pubsub subscriptions create "$dead_letters" --topic="$topic-dead-letter" \
      "${push[@]}" "${retries[@]}" "${kept[@]}"
  fi
done
