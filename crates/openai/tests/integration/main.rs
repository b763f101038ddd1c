//! Tests the client against scripted servers that answer like real ones, with the irregularities of each.

mod asking;
mod irregular;
mod measured;
mod probed;
mod times;
