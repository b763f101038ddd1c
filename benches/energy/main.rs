//! How right the meter is, and what it costs. `cargo bench --bench energy`, some minutes; no GPU is needed.
//!
//! Its tables: error against truth for every source, shape and length in simulated time (the meter's own arithmetic,
//! made-up clock and hardware); how well intervals hold, also where sensors or readings misbehave; the same in real time
//! through the mock NVML and a powercap tree moved at 1 kHz, which is the whole of the meter but the driver; and the CPU
//! time of the meter's own thread.

mod oracle;
mod overhead;
mod real_time;
mod tables;

fn main() {
    tables::errors();
    tables::honesty();
    tables::troubled();
    real_time::square_wave();
    overhead::print();
}
