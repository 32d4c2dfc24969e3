"""What only real processes can get wrong, over Docker: those tests of other suites in which its containers take part."""

import pytest
from tests.contract import test_executor_isolation as isolation
from tests.contract import test_executor_processes as processes
from tests.contract.conftest import on

pytestmark = [pytest.mark.sandbox, on("docker")]

test_death = processes.test_whatever_a_command_does_it_is_gone_when_it_is_killed
test_daemon = processes.test_a_daemon_that_holds_the_pipes_does_not_hold_up_the_end
test_order = processes.test_a_million_lines_arrive_in_order
test_signals = processes.test_the_exit_code_of_a_signal_is_128_and_its_number
test_killed_supervisor = processes.test_a_killed_supervisor_is_noticed_and_leaves_nothing
test_terminated_supervisor = processes.test_a_terminated_supervisor_ends_its_command_and_writes_down_how
test_outlives = processes.test_a_supervisor_outlives_the_process_that_started_it
test_memory = isolation.test_memory_ends_at_its_limit_even_if_the_command_says_it_went_well
test_memory_files = isolation.test_files_in_memory_count_as_memory
test_processors = isolation.test_programs_count_as_many_processors_as_they_get
