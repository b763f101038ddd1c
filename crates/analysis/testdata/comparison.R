# Holds comparison.json, which SciPy and statsmodels made, against R's own tests: Rscript comparison.R (with jsonlite).
expected <- jsonlite::fromJSON("comparison.json", simplifyDataFrame = FALSE)
bound <- log1p(0.02)

agrees <- function(name, found, wanted) {
  stopifnot(length(found) == length(wanted))
  if (any(abs(found - wanted) > 1e-9 * abs(wanted) + 1e-14)) stop(name, ": ", found, " is not ", wanted)
}

check <- function(name, baseline, candidate, wanted, paired) {
  a <- log(baseline)
  b <- log(candidate)
  test <- t.test(b, a, paired = paired)
  below <- t.test(b, a, paired = paired, mu = -bound, alternative = "greater")$p.value
  above <- t.test(b, a, paired = paired, mu = bound, alternative = "less")$p.value
  agrees(name, exp(as.vector(test$conf.int)), as.numeric(wanted$interval))
  agrees(name, unname(test$parameter), wanted$degrees)
  agrees(name, test$p.value, wanted$p_value)
  agrees(name, max(below, above), wanted$equivalence_p_value)
}

for (case in expected$ratios) {
  check(case$name, case$baseline, case$candidate, case$welch, FALSE)
  if (!is.null(case$paired_t)) check(case$name, case$baseline, case$candidate, case$paired_t, TRUE)
}
for (case in expected$adjusted) agrees("Holm", p.adjust(case$p_values, "holm"), case$holm)
cat(R.version.string, "agrees on", length(expected$ratios), "ratios and", length(expected$adjusted), "families of p-values\n")
