//! How large a delivery in hand is.

use tokio_util::sync::CancellationToken;

use super::Pipeline;
use crate::ports::queue::Received;

fn size_of_future<F: Future>(
    _: impl Fn(&'static Pipeline, &'static Received, &'static CancellationToken) -> F,
) -> usize {
    size_of::<F>()
}

/// It is moved several times before it runs, and each delivery in hand holds one.
#[test]
fn the_future_of_a_delivery_is_small() {
    let bytes = size_of_future(|pipeline, message, stop| pipeline.deliver(message, stop));
    assert!(bytes <= 7 * 1024, "{bytes} bytes: box what is rare");
}
