{{ stage_responses('rekognition') }}
