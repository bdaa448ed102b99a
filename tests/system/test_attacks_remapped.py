"""The attacks once more, from containers in user namespaces, whose root may mount and has its own /proc."""

import pytest
from tests.system import test_attacks as attacks

from harness.engine import Engine
from harness.remapped import Remapped

pytestmark = attacks.pytestmark


@pytest.fixture
def daemon(remapped: Remapped) -> Engine:
    return remapped


test_2019_5736_the_runtime_is_not_run_as_a_program = attacks.test_2019_5736_the_runtime_is_not_run_as_a_program
test_2019_19921 = attacks.test_2019_19921_kernel_file_systems_are_not_mounted_through_links
test_2021_30465 = attacks.test_2021_30465_a_mount_point_that_is_swapped_for_a_link
test_2022_0492 = attacks.test_2022_0492_no_release_agent
test_2024_21626 = attacks.test_2024_21626_no_descriptor_leaks
test_2024_21626_working_directory = attacks.test_2024_21626_no_descriptor_is_a_working_directory
test_2025_31133 = attacks.test_2025_31133_a_null_device_that_is_another_thing
test_2025_52565 = attacks.test_2025_52565_a_console_that_is_a_link
test_2025_52881 = attacks.test_2025_52881_nothing_is_mounted_into_proc
test_masked = attacks.test_what_the_kernel_tells_of_the_host_is_masked
test_read_only = attacks.test_nothing_of_the_kernel_is_written
