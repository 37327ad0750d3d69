{{ stage_responses('azure_vision') }}
