/// The processes that an experiment's energy is attributed to, by rank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnginePids {
    /// Those that the meter follows, each with all that it started.
    followed: Vec<Vec<u32>>,
    /// All that may compute on a rank's GPUs.
    computing: Vec<Vec<u32>>,
}

impl EnginePids {
    /// Returns those of workers that compute, one a rank.
    pub fn of_workers(pids: &[u32]) -> Self {
        let each: Vec<_> = pids.iter().map(|pid| vec![*pid]).collect();
        Self {
            followed: each.clone(),
            computing: each,
        }
    }

    /// Returns those of a server, which is all of one rank; none where they cannot be told.
    pub fn of_server(followed: Vec<u32>) -> Self {
        Self {
            followed: vec![followed],
            computing: Vec::new(),
        }
    }

    /// Returns the same with all that may compute on the GPUs of a server.
    pub fn with_computing(self, computing: Vec<u32>) -> Self {
        Self {
            computing: vec![computing],
            ..self
        }
    }

    /// Adds those of later processes of the same ranks.
    pub fn add(&mut self, later: Self) {
        let add = |all: &mut Vec<Vec<u32>>, later: Vec<Vec<u32>>| {
            all.resize(all.len().max(later.len()), Vec::new());
            all.iter_mut().zip(later).for_each(|(own, later)| own.extend(later));
        };
        add(&mut self.followed, later.followed);
        add(&mut self.computing, later.computing);
    }

    pub fn of_rank(&self, rank: u32) -> &[u32] {
        self.followed.get(rank as usize).map_or(&[], Vec::as_slice)
    }

    /// Lists those that may compute on a rank's GPUs.
    pub fn computing_of_rank(&self, rank: u32) -> &[u32] {
        self.computing.get(rank as usize).map_or(&[], Vec::as_slice)
    }

    /// Lists those of all ranks; none where those of one cannot be told.
    pub fn all(&self) -> Vec<u32> {
        match self.followed.iter().any(Vec::is_empty) {
            true => Vec::new(),
            false => self.followed.concat(),
        }
    }
}
