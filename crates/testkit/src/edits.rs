/// Edits one of the seeds as a script of bytes describes: the first byte selects the seed, and each further three bytes
/// change, insert, remove or truncate at a position. Random bytes alone hardly ever begin like a document.
///
/// # Panics
/// Panics when there is no seed.
pub fn edited(seeds: &[&[u8]], script: &[u8]) -> Vec<u8> {
    let (choice, script) = script.split_first().unwrap_or((&0, &[]));
    let mut bytes = seeds[usize::from(*choice) % seeds.len()].to_vec();
    for edit in script.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        let at = at % (bytes.len() + 1);
        match (edit[2] % 8, bytes.get_mut(at)) {
            (0..=3, Some(byte)) => *byte = edit[2].rotate_left(3),
            (4, Some(byte)) => *byte = byte.wrapping_add(1),
            (5, Some(_)) => drop(bytes.remove(at)),
            (6, _) => bytes.truncate(at),
            _ => bytes.insert(at, edit[2]),
        }
    }
    bytes
}
