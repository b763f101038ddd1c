-- By which request an experiment came: its X-Request-Id, and its span as a W3C traceparent. For logs and traces; null
-- where an earlier version, or no request, queued it.
ALTER TABLE experiments ADD COLUMN request_id TEXT;
ALTER TABLE experiments ADD COLUMN traceparent TEXT;
