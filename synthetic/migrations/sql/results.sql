CREATE TABLE synthetic_check_results (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    check_id uuid NOT NULL REFERENCES synthetic_checks (id) ON DELETE CASCADE,
    check_timestamp timestamptz NOT NULL,
    location text,
    status text NOT NULL CHECK (status IN ('success', 'failure', 'timeout', 'error')),
    response_time_ms integer CHECK (response_time_ms >= 0),
    status_code integer CHECK (status_code BETWEEN 100 AND 599),
    response_size_bytes integer CHECK (response_size_bytes >= 0),
    error_message text,
    response_headers jsonb,
    response_body_sample text,
    certificate_info jsonb,
    dns_info jsonb,
    network_info jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, check_timestamp)
) PARTITION BY RANGE (check_timestamp);
CREATE INDEX idx_synthetic_check_results_check_time
    ON synthetic_check_results (check_id, check_timestamp DESC);
