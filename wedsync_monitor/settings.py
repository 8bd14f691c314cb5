"""Django settings; everything that differs between installations comes from the environment."""

from pathlib import Path

import environ

from wedsync_monitor.embedded import location
from wedsync_monitor.embedded.keys import secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

DATA_DIR = Path(env.str("WEDSYNC_DATA", default=str(BASE_DIR / "var"))).resolve()
PORT = env.int("PORT", default=8000)
HOST = env.str("WEDSYNC_HOST", default="127.0.0.1")
DEBUG = env.bool("WEDSYNC_DEBUG", default=False)
SECRET_KEY = secret_key(DATA_DIR)
# This machine's own agent and whoever looks after the server come by loopback, whatever the names outside are.
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", *env.list("WEDSYNC_ALLOWED_HOSTS", default=[])]
CSRF_TRUSTED_ORIGINS = env.list("WEDSYNC_TRUSTED_ORIGINS", default=[])
# The address that people and agents use; it stands in notifications.
PUBLIC_URL = env.str("WEDSYNC_PUBLIC_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")

INSTALLED_APPS = [
    "wedsync_monitor.apps.WedsyncMonitorConfig",
    "assets.apps.AssetsConfig",
    "alerts.apps.AlertsConfig",
    "synthetic.apps.SyntheticConfig",
    "capacity.apps.CapacityConfig",
    "remediation.apps.RemediationConfig",
    "wedsync_monitor.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "django_htmx",
    "django_filters",
    "django_celery_beat",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "wedsync_monitor.web.headers.ContentSecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "wedsync_monitor.audit.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "wedsync_monitor.web.errors.no_nul_in_paths",
    "wedsync_monitor.web.errors.DatabaseOutageMiddleware",
]

ROOT_URLCONF = "wedsync_monitor.urls"
WSGI_APPLICATION = "wedsync_monitor.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "wedsync_monitor.console.navigation.frame",
            ],
        },
    },
]

EMBEDDED_DATABASE = "DATABASE_URL" not in env.ENVIRON
DATABASES = {"default": location.database(DATA_DIR) if EMBEDDED_DATABASE else env.db_url("DATABASE_URL")}
DATABASES["default"].update(
    ENGINE="django.db.backends.postgresql",
    CONN_MAX_AGE=env.int("WEDSYNC_CONN_MAX_AGE", default=60),
    CONN_HEALTH_CHECKS=True,
)
DATABASES["default"].setdefault("OPTIONS", {})["connect_timeout"] = 5
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

EMBEDDED_REDIS = "REDIS_URL" not in env.ENVIRON
REDIS_URL = env.str("REDIS_URL", default=location.redis_url(DATA_DIR))
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

AUTH_USER_MODEL = "wedsync_monitor.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/admin/monitoring"
LOGOUT_REDIRECT_URL = "login"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("WEDSYNC_BEHIND_TLS", default=False) else None
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600
# Bodies are bounded where they are read; Django's own limit guards the forms.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
INGEST_MAX_BODY_BYTES = env.int("WEDSYNC_INGEST_MAX_BODY_BYTES", default=8 * 1024 * 1024)
INGEST_MAX_DECODED_BYTES = env.int("WEDSYNC_INGEST_MAX_DECODED_BYTES", default=32 * 1024 * 1024)

METRIC_RETENTION_DAYS = env.int("WEDSYNC_METRIC_RETENTION_DAYS", default=90)
METRIC_DAILY_RETENTION_DAYS = env.int("WEDSYNC_METRIC_DAILY_RETENTION_DAYS", default=5 * 366)
# Where days of metrics are kept as Parquet files before they are dropped; nowhere unless it is set.
METRIC_ARCHIVE_DIR = env.str("WEDSYNC_METRIC_ARCHIVE_DIR", default="")
# Series that an agent may have, that tokens may make on one asset, and that all may make of one metric name.
METRIC_MAX_SERIES_PER_AGENT = env.int("WEDSYNC_METRIC_MAX_SERIES_PER_AGENT", default=10_000)
METRIC_MAX_SERIES_PER_ASSET = env.int("WEDSYNC_METRIC_MAX_SERIES_PER_ASSET", default=10_000)
METRIC_MAX_SERIES_PER_NAME = env.int("WEDSYNC_METRIC_MAX_SERIES_PER_NAME", default=1_000_000)
# What one PromQL query may read and how long it may take.
QUERY_MAX_SERIES = env.int("WEDSYNC_QUERY_MAX_SERIES", default=20_000)
QUERY_MAX_SAMPLES = env.int("WEDSYNC_QUERY_MAX_SAMPLES", default=5_000_000)
QUERY_TIMEOUT_SECONDS = env.float("WEDSYNC_QUERY_TIMEOUT_SECONDS", default=30.0)
# Rules judge windows that end so long before now, in which the newest samples are complete.
EVALUATION_DELAY_SECONDS = env.float("WEDSYNC_EVALUATION_DELAY_SECONDS", default=0.5)
# How many messages a minute one channel of people gets, and after how many of a kind a summary takes their place.
NOTIFICATIONS_PER_MINUTE = env.int("WEDSYNC_NOTIFICATIONS_PER_MINUTE", default=60)
NOTIFICATION_STORM_AFTER = env.int("WEDSYNC_NOTIFICATION_STORM_AFTER", default=10)
# A sample that comes in later than this after its own time is back-filled: kept, and judged by no rule.
EVALUATION_LATENESS_SECONDS = env.int("WEDSYNC_EVALUATION_LATENESS_SECONDS", default=600)

# Private networks that webhooks and probes may reach, as CIDRs; cloud metadata addresses never.
OUTGOING_ALLOWED_NETWORKS = env.list("WEDSYNC_ALLOWED_NETWORKS", default=[])
# What this server's own probes call the place from which they look, and host:port that answer unless it is cut off.
PROBE_LOCATION = env.str("WEDSYNC_PROBE_LOCATION", default="local")
PROBE_REFERENCES = env.list("WEDSYNC_PROBE_REFERENCES", default=[])
# The folder of the lists of scrape targets; a job names files in it and nothing else of this machine.
FILE_SD_DIR = Path(env.str("WEDSYNC_FILE_SD", default=str(DATA_DIR / "file_sd")))

EMAIL_CONFIG = env.email_url("EMAIL_URL", default="smtp://127.0.0.1:25")
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("WEDSYNC_FROM_EMAIL", default="WedSync Monitor <monitor@localhost>")

CELERY_BROKER_URL = location.broker_url(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 600, "socket_timeout": 10, "socket_keepalive": True}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "wedsync_monitor.beat:LeadingScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
CELERY_TIMEZONE = "UTC"
CELERY_TASK_DEFAULT_QUEUE = "default"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "wedsync_monitor.tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["wedsync_monitor.web.permissions.PolicyPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["wedsync_monitor.web.bodies.StorableJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "wedsync_monitor.web.schema.MonitoringSchema",
    "EXCEPTION_HANDLER": "wedsync_monitor.web.errors.problem_response",
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "WedSync Monitor",
    "DESCRIPTION": "Assets, metrics, alerts, synthetic checks, capacity and remediation over REST.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    # The declared structures are JSON Schema 2020-12, which OpenAPI has from 3.1 on.
    "OAS_VERSION": "3.1.0",
    "ENUM_NAME_OVERRIDES": {
        "AlertStatusEnum": "alerts.models.AlertStatus",
        "DeliveryStatusEnum": "alerts.models.DeliveryStatus",
        "WindowStatusEnum": "alerts.models.WindowStatus",
        "ExecutionStatusEnum": "remediation.models.ExecutionStatus",
        "SeverityEnum": "alerts.models.Severity",
        # Of impacts and of risks.
        "LevelEnum": "alerts.models.ImpactLevel",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "wedsync_monitor.web.schema.add_plain_views",
    ],
    # Its scripts come from this server; the page asks no other host for anything.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/static/img/logo.svg",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("WEDSYNC_LOG_LEVEL", default="INFO")},
    # Celery tells of every tick at INFO, and httpx of every request: what matters is a warning.
    "loggers": {name: {"level": "WARNING"} for name in ("celery", "httpx")},
}
