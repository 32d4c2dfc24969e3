"""Variables that are not set, in the words of programs that miss them."""

import pytest

from headrace.diagnostics.environment import missing_variables, variable_hint


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("Error: Missing environment variable: CMS_TOKEN", ["CMS_TOKEN"]),
        ("Missing required environment variable DATABASE_URL", ["DATABASE_URL"]),
        ("error: Environment variable not found: DATABASE_URL.", ["DATABASE_URL"]),
        ("The OPENAI_API_KEY environment variable is missing or empty; either provide it, or", ["OPENAI_API_KEY"]),
        ("Error: process.env.NEXT_PUBLIC_API_URL is not defined", ["NEXT_PUBLIC_API_URL"]),
        ("Environment variable SANITY_PROJECT_ID is required", ["SANITY_PROJECT_ID"]),
        ("NEXT_PUBLIC_SUPABASE_URL is required", ["NEXT_PUBLIC_SUPABASE_URL"]),
        ("env var STRIPE_KEY must be set", ["STRIPE_KEY"]),
        (
            "❌ Invalid environment variables: {\n  DATABASE_URL: [ 'Required' ],\n  AUTH_SECRET: [ 'Required' ]\n}",
            ["DATABASE_URL", "AUTH_SECRET"],
        ),
        ("ERR_MODULE_NOT_FOUND was thrown", []),
        ("UNRESOLVED_IMPORT Could not resolve './x'", []),
        ("Cannot read properties of undefined (reading 'API_URL')", []),
        ("the page is not defined", []),
        ("", []),
    ],
)
def test_the_name_of_a_variable_that_is_not_set_is_read(said: str, names: list[str]) -> None:
    assert missing_variables(said) == names


def test_the_hint_can_be_pasted() -> None:
    assert variable_hint(["A_B", "C_D"]).startswith('set A_B = "…", C_D = "…" below [env] in headrace.toml')
