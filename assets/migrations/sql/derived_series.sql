-- The series that the system derives itself, some of each asset: whoever asks when assets reported leaves them out, and
-- must not read all series for it.
CREATE INDEX metric_series_derived ON metric_series (asset_id, id) WHERE collection_method = 'synthetic';
