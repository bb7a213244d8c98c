"""Values that tests of the chart render: its options one by one, all at once, and odd ones."""

from functools import cache
from typing import Any

from helm_chart import Rendered, environment, render

SIGN_IN: dict[str, Any] = {
    "ingress": {"enabled": True, "host": "d.example.com", "viewersHost": "v.example.com"},
    "readOnlyWebserver": {"enabled": True},
    "oauth2Proxy": {
        "enabled": True,
        "editors": {"emailDomains": ["example.com"]},
        "viewers": {"emailDomains": ["example.com", "example.org"]},
    },
}
EXTERNAL = {"enabled": True, "store": "vault", "path": "data-platform/prod"}
WATCHED: dict[str, Any] = {
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "runbooks": "https://git.example.com/main"},
    "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Data"}},
}
PLACED: dict[str, Any] = {
    "nodeSelector": {"pool": "data"},
    "tolerations": [{"key": "data", "operator": "Exists"}, {"key": "a", "value": "1"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "spot", "operator": "DoesNotExist"}]}
                ]
            }
        }
    },
    "priorityClassName": "data",
    "podAnnotations": {"team": "data"},
    "serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"},
}
LONG = "a" + "-very-long-name" * 2 + "-of-teams"
"""A location's name of 40 characters or so, the longest there is."""


def signed_in(provider: str, **proxy: Any) -> dict[str, Any]:
    """Sign-in with another provider."""
    return {
        **SIGN_IN,
        "oauth2Proxy": {**SIGN_IN["oauth2Proxy"], "provider": provider, **proxy},
    }


EVERYTHING: dict[str, Any] = {
    **signed_in(
        "google",
        externalSecret=EXTERNAL,
        google={"adminEmail": "a@example.com", "serviceAccountSecret": "groups"},
        editors={"emailDomains": ["example.com"], "groups": ["data@example.com"]},
        trustedProxies=["10.9.0.0/16"],
        **PLACED,
    ),
    "image": {"repository": "r.example.com/dp", "tag": "1.2.3", "pullSecrets": ["registry"]},
    "storage": {"externalSecret": EXTERNAL},
    "env": {"AWS_REGION": "eu-central-1"},
    "secretEnv": [{"name": "SLACK_URL", "secret": "chat", "key": "url"}],
    "codeLocations": [
        {
            "name": "shop",
            "owners": ["team:shop", "ann@example.com"],
            "pipelines": "/opt/shop/pipelines",
            "env": {"SHOP": "1"},
            "secretEnv": [{"name": "SHOP_URL", "secret": "shop", "key": "url"}],
            "queue": {"maxConcurrentRuns": 5},
            "egress": [{"cidrs": ["10.30.0.10/32"], "ports": [3306]}],
            "imagePullSecrets": ["shop-registry"],
            "runServiceAccountAnnotations": {"role": "shop-runs"},
            **PLACED,
            "quota": {"enabled": True, "pods": 10, "cpu": "10", "memory": "10Gi"},
        },
        {"name": "finance", "image": {"repository": "r.example.com/finance", "tag": "4.5"}},
    ],
    "runs": {"stepPods": True, "quota": {"enabled": True, "cpu": "100"}, **PLACED},
    "webserver": PLACED,
    "readOnlyWebserver": {"enabled": True, **PLACED},
    "daemon": PLACED,
    "metrics": PLACED,
    "migration": PLACED,
    "monitoring": WATCHED,
}
CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "dev": environment("dev"),
    "staging": environment("staging"),
    "production": environment("production"),
    "everything": EVERYTHING,
    "one pod each": {
        "webserver": {"replicas": 1},
        "locationDefaults": {"replicas": 1},
        "readOnlyWebserver": {"enabled": True, "replicas": 1},
    },
    "without metrics": {"metrics": {"enabled": False}},
    "without migration": {"migration": {"enabled": False}},
    "without network policies": {"networkPolicy": {"enabled": False}},
    "read-only webserver": {"readOnlyWebserver": {"enabled": True}},
    "steps in pods": {"runs": {"stepPods": True}},
    "quota": {"runs": {"quota": {"enabled": True, "pods": 7, "cpu": "4", "memory": "8Gi"}}},
    "secrets from outside": {"storage": {"externalSecret": EXTERNAL}},
    "own secret": {"storage": {"existingSecret": "dagster.db", "key": "URL"}},
    "google": signed_in("google"),
    "github": signed_in(
        "github",
        github={"organization": "example"},
        editors={"groups": ["example:data", "example:platform"]},
        viewers={},
    ),
    "oidc": signed_in(
        "oidc",
        oidc={"issuerUrl": "https://id.example.com/realms/main", "groupsClaim": "roles"},
        editors={"groups": ["data engineers", "größe"]},
        viewers={"groups": ["*"]},
    ),
    "editors alone": {
        **SIGN_IN,
        "ingress": {"enabled": True, "host": "d.example.com"},
        "readOnlyWebserver": {"enabled": False},
    },
    "sign-in behind an ingress of one's own": {
        **SIGN_IN,
        "ingress": {**SIGN_IN["ingress"], "enabled": False},
    },
    "open in development": {
        "mode": "development",
        "ingress": {"enabled": True, "host": "d.example.com", "tls": {"enabled": False}},
    },
    "certificates": {
        **SIGN_IN,
        "ingress": {
            **SIGN_IN["ingress"],
            "className": "nginx",
            "annotations": {"a": "1"},
            "tls": {"secretName": "wildcard", "clusterIssuer": "letsencrypt"},
        },
    },
    "monitoring": {"monitoring": WATCHED},
    "monitoring without metrics": {"monitoring": WATCHED, "metrics": {"enabled": False}},
    "digests": {
        "image": {"digest": "sha256:" + "0" * 64},
        "codeLocations": [
            {"name": "a"},
            {"name": "b", "image": {"tag": "7"}},
            {"name": "c", "image": {"digest": "sha256:" + "1" * 64}},
        ],
    },
    "many locations": {"codeLocations": [{"name": f"team-{n}"} for n in range(12)]},
    "long names": {
        "fullnameOverride": "a-release-with-a-name-that-is-as-long-as-names-may-be",
        "nameOverride": "a-name-that-is-longer-than-what-a-label-of-kubernetes-may-have-in-all",
        "codeLocations": [{"name": LONG}, {"name": f"{LONG[:-1]}x"}],
        "readOnlyWebserver": {"enabled": True},
        "runs": {"stepPods": True},
        "monitoring": WATCHED,
    },
    "odd texts": {
        "env": {
            "UNICODE": "größe 日本 🦆",
            "YAML": "a: b # c\n- [x, {y",
            "QUOTES": "\"'`$(A) %s \\",
            "TEMPLATE": "{{ .Values.image }}",
            "NUMBER": "0123",
            "BOOLEAN": "yes",
            "EMPTY": "",
        },
        "codeLocations": [{"name": "a", "owners": ["Zoë: x", "#1"], "pipelines": "/opt/ä b:/x"}],
    },
    "empty lists": {
        "image": {"pullSecrets": []},
        "env": {},
        "secretEnv": [],
        "codeLocations": [
            {"name": "a", "owners": [], "env": {}, "secretEnv": [], "egress": [], "image": {}}
        ],
        "networkPolicy": {
            "dns": {"podLabels": {"k8s-app": None}},
            "database": {"cidrs": []},
            "objectStore": {"cidrs": [], "excluded": []},
            "ingressController": {"namespace": ""},
            "prometheus": {"namespace": ""},
        },
        "instance": {"queue": {"tagLimits": []}},
    },
    "least numbers": {
        "webserver": {"replicas": 1, "graceSeconds": 1},
        "metrics": {"maxAssets": 0},
        "locationDefaults": {"queue": {"maxConcurrentRuns": 0}, "graceSeconds": 1},
        "instance": {"runJobs": {"keepSucceededSeconds": 0, "keepFailedSeconds": 0}},
    },
    "state in the cluster": {
        "networkPolicy": {
            "database": {"namespace": "postgres", "podLabels": {"app": "postgres"}},
            "objectStore": {"namespace": "minio", "ports": [9000]},
            "cloudIdentity": [{"cidrs": ["169.254.170.23/32"], "ports": [80]}],
        },
        "env": {"AWS_ENDPOINT_URL": "http://minio.minio:9000"},
    },
}


@cache
def rendered(case: str) -> Rendered:
    """What a case gives."""
    return render(CASES[case])
