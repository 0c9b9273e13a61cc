"""Documented variables that no settings class has: connections, what the stack writes, secrets of Compose."""

from __future__ import annotations

from typing import Any, NamedTuple


class Example(NamedTuple):
    """One way to fill a variable; what stands in <> is the reader's."""

    variable: str
    sentence: str
    value: dict[str, Any]


_SASL = {
    "bootstrap.servers": "<broker-1>:9093,<broker-2>:9093",
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "<user>",
    "sasl.password": "<password>",
}
_LAKE, _ACCOUNT = "AIRFLOW_CONN_LAKE", "https://<account>.blob.core.windows.net"
_SNOWFLAKE = {
    "account": "<organisation>-<account>",
    "database": "ANALYTICS",
    "warehouse": "PIPELINE_WH",
    "role": "ANALYTICS_PIPELINE",
    "private_key_file": "<folder>/pipeline_rsa_key.p8",
}


def _amplitude(host: str) -> dict[str, Any]:
    return {"conn_type": "http", "host": host, "login": "<api key>", "password": "<secret key>"}


CONNECTIONS = (
    Example(
        "AIRFLOW_CONN_KAFKA_EVENTS",
        "Kafka for the DAGs; extra holds librdkafka properties.",
        {"conn_type": "generic", "extra": _SASL},
    ),
    Example(
        "INGEST_KAFKA_PROPERTIES",
        "Kafka for the ingest API: the same properties beside INGEST_KAFKA_BOOTSTRAP_SERVERS.",
        {name: value for name, value in _SASL.items() if name != "bootstrap.servers"},
    ),
    Example(
        _LAKE,
        "The lake by connection string (an account key).",
        {
            "conn_type": "wasb",
            "extra": {
                "connection_string": "DefaultEndpointsProtocol=https;AccountName=<account>;AccountKey=<key>;"
                "EndpointSuffix=core.windows.net"
            },
        },
    ),
    Example(
        _LAKE, "The lake by managed or workload identity, without a secret.", {"conn_type": "wasb", "host": _ACCOUNT}
    ),
    Example(
        _LAKE,
        "The lake by a service principal.",
        {
            "conn_type": "wasb",
            "host": _ACCOUNT,
            "login": "<client id>",
            "password": "<client secret>",
            "extra": {"tenant_id": "<tenant id>"},
        },
    ),
    Example(
        "AIRFLOW_CONN_WAREHOUSE",
        "Snowflake by key pair; the role has what include/sql/ddl/080_roles.sql grants loader and publisher.",
        {"conn_type": "snowflake", "login": "PIPELINE", "schema": "CORE", "extra": _SNOWFLAKE},
    ),
    Example("AIRFLOW_CONN_AMPLITUDE", "Amplitude, US.", _amplitude("https://api2.amplitude.com")),
    Example("AIRFLOW_CONN_AMPLITUDE", "Amplitude, EU.", _amplitude("https://api.eu.amplitude.com")),
)

WRITTEN_BY_THE_STACK = {
    "LOCAL_URL_INGEST": "Address of the ingest API.",
    "LOCAL_URL_AIRFLOW": "Address of Airflow's UI and API.",
    "LOCAL_URL_AMPLITUDE": "Address of the Amplitude stand-in.",
    "LOCAL_WRITE_KEY_PHONE_APP": "Write key of the source phone-app.",
    "LOCAL_WRITE_KEY_WEB_APP": "Write key of the source web-app.",
    "LOCAL_WRITE_KEY_CAR_APP": "Write key of the source car-app.",
    "GX_ANALYTICS_ENABLED": "Keeps Great Expectations from calling home.",
    "SNOWFLAKE_DISABLE_PLATFORM_DETECTION": "Keeps the connector from asking the clouds' metadata services.",
    "AIRFLOW_HOME": "Folder of Airflow's state; Airflow's own options follow as AIRFLOW__SECTION__KEY.",
}
"""Addresses and keys that `.local/endpoints.env` has beside settings and connections."""

COMPOSE_SECRETS = {
    "POSTGRES_PASSWORD": "Password of Airflow's metadata database.",
    "AIRFLOW__CORE__FERNET_KEY": "Key under which Airflow encrypts what it stores.",
    "AIRFLOW__API__SECRET_KEY": "Key that signs Airflow's sessions.",
    "AIRFLOW__API_AUTH__JWT_SECRET": "Key that signs the tokens of Airflow's components.",
    "LOCAL_WRITE_KEY_PHONE_APP_SHA256": "SHA-256 of the write key of phone-app, for the sources file.",
    "LOCAL_WRITE_KEY_WEB_APP_SHA256": "SHA-256 of the write key of web-app, for the sources file.",
    "LOCAL_WRITE_KEY_CAR_APP_SHA256": "SHA-256 of the write key of car-app, for the sources file.",
}
"""What `docker-compose.yaml` needs in `.env` beside settings; `deploy/local/new_env.py` makes them."""
