//! The broker on the mock cluster of librdkafka, and on a real Kafka.

mod mock;
