"""
What Podman does in its own way, by tests of the other suites. All of those hold over it; each costs a second or two, and what
is the executor's own is shown over Docker.
"""

import pytest
from tests.contract import test_executor as contract
from tests.contract import test_executor_egress as egress
from tests.contract import test_executor_live_attacks as attacks
from tests.contract import test_executor_processes as processes
from tests.contract.conftest import on

pytestmark = [pytest.mark.sandbox, on("podman")]

test_not_there = contract.test_a_command_that_is_not_there_ends_with_127_and_says_so
test_variables = contract.test_declared_variables_arrive_whatever_their_names_are
test_owners_above = contract.test_no_directory_above_those_of_a_command_is_a_strangers
test_layers = contract.test_what_was_written_can_be_taken_and_be_a_layer_of_the_next_sandbox
test_discarded = contract.test_a_sandbox_can_be_found_and_discarded_by_its_name
test_background = contract.test_background_processes_end_with_their_command_and_are_counted
test_examined = contract.test_the_machine_is_examined
server = egress.server
test_configured_host = egress.test_a_configured_host_is_reached_wherever_it_is_and_nothing_else
test_memory = attacks.test_one_that_eats_memory_ends_with_that_reason
test_watchers = attacks.test_watchers_inside_see_whole_files_of_their_own_user_at_the_same_inode
test_killed_supervisor = processes.test_a_killed_supervisor_is_noticed_and_leaves_nothing
test_signals = processes.test_the_exit_code_of_a_signal_is_128_and_its_number
