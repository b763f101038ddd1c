/// The processes that an experiment's energy is attributed to, by rank, each with all that it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnginePids(Vec<Vec<u32>>);

impl EnginePids {
    /// Returns those of workers that compute, one a rank.
    pub fn of_workers(pids: &[u32]) -> Self {
        Self(pids.iter().map(|pid| vec![*pid]).collect())
    }

    /// Returns those of a server, which is all of one rank; none where they cannot be told.
    pub fn of_server(pids: Vec<u32>) -> Self {
        Self(vec![pids])
    }

    pub fn of_rank(&self, rank: u32) -> &[u32] {
        self.0.get(rank as usize).map_or(&[], Vec::as_slice)
    }

    /// Lists those of all ranks; none where those of one cannot be told.
    pub fn all(&self) -> Vec<u32> {
        match self.0.iter().any(Vec::is_empty) {
            true => Vec::new(),
            false => self.0.concat(),
        }
    }
}
