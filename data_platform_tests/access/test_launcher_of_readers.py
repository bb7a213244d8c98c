"""A server that only reads runs where Dagster's launcher can't begin."""

import pytest
from dagster import DagsterInstance
from dagster._serdes import ConfigurableClassData
from kubernetes.config import ConfigException

from data_platform.webserver.serving import launch_nothing


def test_a_launcher_that_wants_an_account_of_the_cluster_is_left_alone(instance: DagsterInstance):
    pods = ConfigurableClassData(
        "data_platform.instance.pod_launcher",
        "PlatformPodLauncher",
        "{dagster_home: /home, instance_config_map: one, service_account_name: runs}",
    )
    with DagsterInstance.from_ref(instance.get_ref()._replace(run_launcher_data=pods)) as pod:
        with pytest.raises(ConfigException):
            _ = pod.run_launcher
        launch_nothing(pod)
        assert type(pod.run_launcher).__name__ == "LaunchesNothing"
