import pytest

pytest.register_assert_rewrite("tests.events.walk_check", "tests.events.walk_kit")
